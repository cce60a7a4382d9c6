package convert

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/export"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/manifest"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// writeOthers writes the files beside the weights: those that say what came of it after
// the output is measured, and last the manifest with the digests of all others.
func (r *run) writeOthers(ctx context.Context) error {
	var before, after []string
	for _, name := range r.Others {
		switch name {
		case r.Manifest:
		case plan.CardFile:
			after = append(after, name)
		default:
			before = append(before, name)
		}
	}
	digests, err := r.writeAll(before)
	if err != nil {
		return err
	}
	if err := r.measureOutput(ctx); err != nil {
		return err
	}
	more, err := r.writeAll(after)
	if err != nil {
		return err
	}
	text, err := r.manifest(ctx, append(digests, more...))
	if err != nil {
		return err
	}
	if err := r.out.WriteFile(r.Manifest, text); err != nil || r.Parts == nil {
		return err
	}
	return r.Parts.Write(joinedFile, []byte(manifest.Digest(text)))
}

// writeAll writes files beside the weights and returns their digests.
func (r *run) writeAll(names []string) (digests []checkpoint.FileDigest, err error) {
	for _, name := range names {
		content, err := r.content(name)
		if err != nil {
			return nil, err
		}
		if err := r.out.WriteFile(name, content); err != nil {
			return nil, err
		}
		digests = append(digests, checkpoint.FileDigest{File: name, Bytes: int64(len(content)), SHA: checkpoint.DigestBytes(content)})
	}
	return digests, nil
}

// content returns the content of a file beside the weights.
func (r *run) content(name string) ([]byte, error) {
	switch {
	case slices.Contains(r.Companions, name):
		text, _, err := r.Source.Source.Beside(name, plan.MaxCompanion)
		return text, err
	case name == checkpoint.IndexFile:
		return r.index()
	case name == plan.CardFile:
		return r.card(), nil
	case name == r.Modelfile:
		return export.Modelfile(filepath.Base(r.Plan.Output)), nil
	case name == r.RankFile:
		return r.ranks()
	default:
		return r.Config, nil
	}
}

// ranks returns the content of the file of rankings.
func (r *run) ranks() ([]byte, error) {
	var all []rope.Ranking
	for _, l := range r.result.Layers {
		all = append(all, l.Ranking)
	}
	return family.EncodeRankings(all)
}

// index returns the text of the shard index.
func (r *run) index() ([]byte, error) {
	shards := make(map[string]string, len(r.Tensors))
	parameters := int64(0)
	for _, t := range r.Tensors {
		shards[t.Name] = r.Shards[t.Shard].File
		parameters += t.Elements()
	}
	text, err := json.MarshalIndent(map[string]any{
		"metadata":   map[string]int64{"total_size": r.Bytes, "total_parameters": parameters},
		"weight_map": shards,
	}, "", "  ")
	return append(text, '\n'), err
}
