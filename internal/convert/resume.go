package convert

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"runtime"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/fastblas"
	"github.com/mha2mla/mha2mla/internal/fault"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/rope"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// record is one record of the journal: the first is Begin, and of the others a
// layer's comes before those of the shards it is in.
type record struct {
	Begin *fingerprint `json:"begin,omitempty"`
	Layer *layerRecord `json:"layer,omitempty"`
	Shard *shardRecord `json:"shard,omitempty"`

	Training *trainingRecord `json:"training,omitempty"`
}

// layerRecord is what was found out about a layer.
type layerRecord struct {
	LayerResult
	Ranking rope.Ranking `json:"ranking,omitempty"`
	Healed  string       `json:"healed_sha256,omitempty"` // of the file of the healed weights; empty: the layer was not healed, or in vain
}

// shardRecord says that a shard is complete.
type shardRecord struct {
	File string `json:"file"`
	*checkpoint.Digests
	Inputs map[string]string `json:"inputs"` // see shard
}

// fingerprint is all that the bytes of the output depend on. A file of the source
// counts as the same if its size, its time of change to the nanosecond and its
// header are: a digest of gigabytes would cost as much as converting many a layer,
// and whoever gives other weights the old time means to deceive nobody but himself.
// Statistics, which are smaller and may be gathered anew, count by their content.
type fingerprint struct {
	Origin
	Command    string                  `json:"command"`
	Plan       string                  `json:"plan"` // digest
	Statistics []checkpoint.FileDigest `json:"statistics,omitempty"`
	Healing    string                  `json:"healing,omitempty"` // digest of the tokens
}

// Origin is what all depends on that is computed of a source.
type Origin struct {
	Program string                `json:"program"` // version, build, system, kernels
	Source  []checkpoint.Identity `json:"source"`
}

// NewOrigin returns the origin of what this process makes of m, as o describes the program.
func NewOrigin(ctx context.Context, m *family.Model, o Options) (Origin, error) {
	build := ""
	if o.Build != nil {
		build = o.Build(ctx)
	}
	source, err := m.Source.Identities(ctx)
	return Origin{fmt.Sprintf("mha2mla %s%s %s/%s %s", o.Version, build, runtime.GOOS, runtime.GOARCH, fastblas.Kernel()), source}, err
}

// Planned is a PlanError that names the first difference between o and the origin that was planned
// with.
func (o Origin) Planned(then Origin) error { return planned(o.difference(then)) }

// difference says what the first difference from another origin is; empty if there is none.
func (o Origin) difference(then Origin) option.Text {
	switch {
	case o.Program != then.Program:
		return differs("the program", then.Program, o.Program)
	case len(o.Source) != len(then.Source):
		return differs("the number of files of the source", len(then.Source), len(o.Source))
	}
	for i, now := range o.Source {
		if then := then.Source[i]; now != then {
			return option.Textf("the file %q of the source has changed since", then.File)
		}
	}
	return option.Text{}
}

// differs says that something was one thing and is another.
func differs(what string, then, now any) option.Text {
	return option.Textf("%s was %v and is %v", what, then, now)
}

// ResumeError says why an earlier run cannot be resumed.
type ResumeError struct{ What option.Text }

func (e *ResumeError) Error() string { return e.Text().String() }

// Text is the error, for whoever has words of his own for options.
func (e *ResumeError) Text() option.Text { return option.Textf("cannot resume: %v", e.What) }

// Kind says that what was asked for cannot be meant.
func (e *ResumeError) Kind() fault.Kind { return fault.Usage }

// Remedy says what to do about the error.
func (e *ResumeError) Remedy() option.Text {
	return option.Textf("convert as before, or without %v from the beginning", option.Resume)
}

// against is an error that names the first difference from what an earlier run
// was.
func (f *fingerprint) against(old *fingerprint) error {
	if what := f.difference(old); !what.Empty() {
		return &ResumeError{what}
	}
	return nil
}

// difference says what the first difference from another fingerprint is; empty if there is none.
func (f *fingerprint) difference(old *fingerprint) option.Text {
	if what := f.Origin.difference(old.Origin); !what.Empty() {
		return what
	}
	switch {
	case f.Command != old.Command:
		return differs("the command", fmt.Sprintf("%q", old.Command), fmt.Sprintf("%q", f.Command))
	case !reflect.DeepEqual(f.Statistics, old.Statistics):
		return option.Plain("the statistics are others")
	case f.Healing != old.Healing:
		return option.Plain("the tokens to heal on are others")
	case f.Plan != old.Plan:
		return option.Textf("the plan differs: the configuration of the source, the rankings or %v", option.MaxShard)
	}
	return option.Text{}
}

// fingerprint returns that of the run.
func (r *run) fingerprint(ctx context.Context) (*fingerprint, error) {
	origin, err := NewOrigin(ctx, r.Source, r.Options)
	if err != nil {
		return nil, err
	}
	f := &fingerprint{Origin: origin, Command: r.command(), Statistics: r.statistics}
	p := *r.Plan
	p.Input, p.Output, p.Warnings = "", "", nil // the same wherever it is
	text, err := json.Marshal(struct {
		Plan   any
		Config string
		Maths  mla.Options
	}{&p, string(r.Config), r.Maths})
	if err != nil {
		return nil, err
	}
	f.Plan = checkpoint.DigestBytes(text)
	if windows := r.learned(); windows != nil {
		tokens, err := json.Marshal(windows)
		if err != nil {
			return nil, err
		}
		f.Healing = checkpoint.DigestBytes(tokens)
	}
	return f, nil
}

// learned returns the tokens that layers are fitted to; nil if they are not.
func (r *run) learned() tokens.Windows {
	switch {
	case r.Distiller != nil:
		return r.Distiller.Windows
	case r.Healer != nil:
		return r.Healer.Windows()
	}
	return r.Lesson
}

// layerOf is the layer of which the conversion makes t, if one does.
func (r *run) layerOf(t plan.Tensor) (layer int, ok bool) {
	return t.Layer, t.Action == plan.Compute
}

// keptLayer reports whether there is nothing to be made of layer n, and takes over what was found
// out about it. A layer of which one tensor lies in a shard that is to be written is converted
// again.
func (r *run) keptLayer(n int) bool {
	elsewhere := false
	for _, t := range r.Tensors {
		if of, ok := r.layerOf(t); ok && of == n {
			if !r.kept(t) {
				return false
			}
			elsewhere = r.shards[t.Shard].elsewhere
		}
	}
	old := r.earlier[n]
	if old == nil {
		return elsewhere // who makes it finds out about it
	}
	r.result.Layers[n] = old.LayerResult
	r.result.Layers[n].Ranking = old.Ranking
	return true
}
