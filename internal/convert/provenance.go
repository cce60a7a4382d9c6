package convert

import (
	"context"
	"encoding/json"

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

// digestInputs computes the digests of the source's files, but for what is copied:
// that is digested as it is written.
func (r *run) digestInputs(ctx context.Context) (err error) {
	copied := r.copies()
	r.inputs, err = r.Source.Source.Digests(ctx, func(name string) bool { return copied[name] != "" })
	return err
}

// addCopies adds the digests of what was copied to those of the source.
func (r *run) addCopies() {
	for from, to := range r.copies() {
		for _, in := range r.inputs {
			if in.File == r.Source.Source.Lookup(from).File() {
				in.Tensors[from] = r.shards[r.planned[to].Shard].digests.Tensors[to]
			}
		}
	}
}

// manifest returns the text of the manifest, given the digests of the files beside
// the weights.
func (r *run) manifest(others []checkpoint.FileDigest) ([]byte, error) {
	r.addCopies()
	about := conversion{Source: r.Source, Target: r.Target, Cache: r.Cache, Result: &r.result}
	for _, f := range r.Layout.Facts(r.Source, r.Target) {
		about.Sizes = append(about.Sizes, fact(f))
	}
	conversion, err := json.Marshal(about)
	if err != nil {
		return nil, err
	}
	m := manifest.Manifest{
		Program: r.Version, Command: r.command(), Inputs: r.inputs, Statistics: r.statistics,
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
