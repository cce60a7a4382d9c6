package convert

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/manifest"
	"github.com/mha2mla/mha2mla/internal/plan"
)

// conversion is what a manifest says of how the output was made.
type conversion struct {
	Source *family.Model `json:"source"`
	Target *family.Model `json:"target"`
	Cache  plan.Cache    `json:"cache"`
	Sizes  []fact        `json:"sizes"`
	*Result
}

// fact is a size before and after.
type fact struct {
	Name   string `json:"name"`
	Before string `json:"before,omitempty"`
	After  string `json:"after"`
}

// copies are the tensors of the source that the output holds as they are stored, each with
// one name that it has there. GGUF files store the same otherwise.
func (r *run) copies() map[string]string {
	names := make(map[string]string)
	if r.Keys != nil || r.Source.Source.GGUF() != nil {
		return names
	}
	for _, t := range r.Tensors {
		if t.Action == plan.Copy && t.Weight.Entire() {
			names[t.Weight.Stored()] = t.Name
		}
	}
	return names
}

// owners says with which shard the digest of a tensor of the source is kept: with the first that
// something is made of it for.
func (r *run) owners() map[string]int {
	owners := make(map[string]int)
	for _, t := range slices.Backward(r.Tensors) {
		switch t.Action {
		case plan.Zero:
		case plan.Compute:
			for _, a := range r.Source.AttentionTensors() {
				owners[r.Source.Weight(family.InLayer(t.Layer, a.Name)).Stored()] = t.Shard
			}
		default:
			for _, w := range t.Weights() {
				owners[w.Stored()] = t.Shard
			}
		}
	}
	return owners
}

// inputs lists for each shard the tensors of the source whose digests are kept with it. What is
// copied is digested as it is written; what no shard is made of belongs to each in turn.
func (r *run) inputs() [][]*checkpoint.Tensor {
	inputs, owners, copied := make([][]*checkpoint.Tensor, len(r.shards)), r.owners(), r.copies()
	for i, t := range r.Source.Source.Stored() {
		if copied[t.Name] != "" {
			continue
		}
		shard, owned := owners[t.Name]
		if !owned {
			shard = i % len(inputs)
		}
		inputs[shard] = append(inputs[shard], t)
	}
	return inputs
}

// digestInputs computes the digests of what the shards that are to be written are made of.
func (r *run) digestInputs(ctx context.Context) (err error) {
	for i, inputs := range r.inputs() {
		s := r.shards[i]
		if s.kept() {
			continue
		}
		if s.inputs, err = checkpoint.DigestTensors(ctx, inputs); err != nil {
			return err
		}
		if err := r.finished(s); err != nil {
			return err
		}
	}
	return nil
}

// sources returns the digests of the source's files.
func (r *run) sources(ctx context.Context) ([]checkpoint.WeightsDigest, error) {
	tensors := make(map[string]string)
	for _, s := range r.shards {
		maps.Copy(tensors, s.inputs)
	}
	for from, to := range r.copies() {
		tensors[from] = r.shards[r.planned[to].Shard].digests.Tensors[to]
	}
	return r.Source.Source.Digests(ctx, tensors)
}

// manifest returns the text of the manifest, given the digests of the files beside
// the weights.
func (r *run) manifest(ctx context.Context, others []checkpoint.FileDigest) ([]byte, error) {
	inputs, err := r.sources(ctx)
	if err != nil {
		return nil, err
	}
	about := conversion{Source: r.Source, Target: r.Target, Cache: r.Cache, Result: &r.result}
	for _, f := range r.Layout.Facts(r.Source, r.Target) {
		about.Sizes = append(about.Sizes, fact(f))
	}
	conversion, err := json.Marshal(about)
	if err != nil {
		return nil, err
	}
	m := manifest.Manifest{
		Program: r.Version, Command: r.command(), Inputs: inputs, Statistics: r.statistics,
		Conversion: conversion, Engines: r.Loaders(), Whole: r.Whole, Files: others,
	}
	for _, s := range r.shards {
		size, err := r.out.Size(s.file)
		if err != nil {
			return nil, err
		}
		m.Weights = append(m.Weights, checkpoint.WeightsDigest{File: s.file, Bytes: size, Digests: s.digests})
	}
	return m.Encode()
}

// ReadResult returns what the manifest of the output at path says that its conversion
// found out; nil if there is none that is as it was written.
func ReadResult(path string) (*Result, error) {
	m, err := manifest.Read(path)
	if err != nil || m == nil {
		return nil, err
	}
	r := &Result{}
	if err := json.Unmarshal(m.Conversion, r); err != nil {
		return nil, &checkpoint.FormatError{Path: path, What: "its manifest is not what a conversion writes: " + err.Error()}
	}
	return r, nil
}
