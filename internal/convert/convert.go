// Package convert carries a plan out: it converts the layers, copies the rest,
// and publishes the files together.
package convert

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/heal"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/plan"
)

// Options say how a plan is carried out. The weights do not depend on them.
type Options struct {
	Resources
	Stats    calib.Reader // of the activations; nil: none
	Healer   *heal.Healer // betters the layers, which are then converted in order; nil: they stay as they are
	Force    bool         // replace what exists
	Version  string       // of the program, for the files' metadata
	Progress func(done, total int64)
	Warn     func(message string)
}

// Result is what a conversion found out. Its fields are part of the JSON output.
type Result struct {
	Layers []LayerResult `json:"layers"`
	Timing Timing        `json:"-"` // no two runs have the same
}

// LayerResult is what was kept of one layer.
type LayerResult struct {
	Layer int `json:"layer"`
	mla.Summary
	Heal *heal.Result `json:"heal,omitempty"`
}

// run is one conversion under way.
type run struct {
	*plan.Plan
	Options
	writers []*checkpoint.Writer
	shardOf map[string]int
	warned  map[*checkpoint.Tensor]bool // under mu

	clock clock

	mu     sync.Mutex
	done   int64
	result Result
}

// Run carries out p. Nothing gets its final name before everything is written.
func Run(ctx context.Context, p *plan.Plan, o Options) (result *Result, err error) {
	out, err := checkpoint.NewOutput(p.Source.Source, p.Folder, p.Files(), p.Whole, o.Force)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, out.Discard()) }()
	r := &run{Plan: p, Options: o, shardOf: make(map[string]int), warned: make(map[*checkpoint.Tensor]bool)}
	r.result.Layers = make([]LayerResult, p.Source.Layers)
	if err := r.write(ctx, out); err != nil {
		return nil, err
	}
	r.result.Timing = r.clock.Timing
	if err := r.unchanged(); err != nil {
		return nil, err
	}
	return &r.result, out.Commit()
}

// unchanged is an error if an input is no longer what it was.
func (r *run) unchanged() error {
	if err := r.Source.Source.Unchanged(); err != nil || r.Stats == nil {
		return err
	}
	return r.Stats.Unchanged()
}

// write writes every file under its temporary name.
func (r *run) write(ctx context.Context, out *checkpoint.Output) (err error) {
	defer func() {
		for _, w := range r.writers {
			err = errors.Join(err, w.Abandon())
		}
	}()
	if err := r.open(out); err != nil {
		return err
	}
	if err := r.work(ctx); err != nil {
		return err
	}
	for len(r.writers) > 0 {
		w := r.writers[0]
		r.writers = r.writers[1:]
		if err := w.Close(); err != nil {
			return err
		}
	}
	if err := r.writeOthers(out); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// open creates the shards.
func (r *run) open(out *checkpoint.Output) error {
	specs := make([][]checkpoint.Spec, len(r.Shards))
	for _, t := range r.Tensors {
		specs[t.Shard] = append(specs[t.Shard], t.Spec)
		r.shardOf[t.Name] = t.Shard
	}
	metadata := map[string]string{"format": "pt", "mha2mla": r.Version, checkpoint.MetadataConfig: string(r.Config)}
	for i, shard := range r.Shards {
		f, err := out.Create(shard.File)
		if err != nil {
			return err
		}
		w, err := checkpoint.NewWriter(f, specs[i], metadata)
		if err != nil {
			return err
		}
		r.writers = append(r.writers, w)
	}
	return nil
}

// work converts all layers and copies everything else.
func (r *run) work(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return r.carryAll(ctx) })
	group.Go(func() error {
		side := r.Resources
		if r.Healer != nil {
			side.Jobs = 1 // the input of one layer is what the healed ones before it make
		}
		need := LayerMemory(r.Source.Shape(), r.Maths, r.Stats != nil)
		return side.each(ctx, r.Source.Layers, need, r.layer)
	})
	return group.Wait()
}

// layer converts layer n and writes its tensors.
func (r *run) layer(ctx context.Context, n int) error {
	weights := &timedReads{Projections: r.Source.Attention(n), clock: &r.clock}
	start := time.Now()
	attention, err := mla.Input{Model: r.Source, Stats: r.Stats, Method: r.Maths.Method}.ReadFrom(weights, n)
	if err != nil {
		return mla.Explain(n, err)
	}
	r.clock.add(&r.clock.Statistics, start, weights.take())
	start = time.Now()
	layer, err := r.Layout.Convert(attention)
	if err != nil {
		return mla.Explain(n, err)
	}
	r.clock.add(&r.clock.Factor, start, weights.take())
	r.result.Layers[n] = LayerResult{Layer: n, Summary: layer.Summary()}
	if r.result.Layers[n].Fallback {
		r.warn(fmt.Sprintf("layer %d: an eigenvalue problem failed its check and was solved again by another algorithm, which takes longer", n))
	}
	if r.Healer != nil {
		start = time.Now()
		if err := r.heal(ctx, n, attention, layer); err != nil {
			return err
		}
		r.clock.add(&r.clock.Heal, start, weights.take())
	}
	start = time.Now()
	err = layer.Write(attention, func(name string) mla.Sink {
		return &computed{floats: r.floats(family.InLayer(n, name))}
	})
	r.clock.add(&r.clock.Write, start, weights.take())
	return err
}

// heal betters a converted layer.
func (r *run) heal(ctx context.Context, n int, a *mla.Attention, converted mla.Converted) error {
	layer, ok := converted.(mla.Healable)
	if !ok {
		return errors.New("internal: there is nothing to heal in a layer without a latent")
	}
	w, err := layer.Weights(a)
	if err != nil {
		return err
	}
	healed, result, err := r.Healer.Layer(ctx, n, w)
	if err != nil {
		return err
	}
	r.result.Layers[n].Heal = result
	if healed == nil {
		return nil
	}
	return layer.Replace(a, healed)
}

func (r *run) writer(name string) *checkpoint.TensorWriter {
	return r.writers[r.shardOf[name]].Tensor(name)
}

// advance reports bytes written.
func (r *run) advance(bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done += bytes
	if r.Progress != nil {
		r.Progress(r.done, r.Bytes)
	}
}

// warn passes a warning on.
func (r *run) warn(message string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.Warn != nil {
		r.Warn(message)
	}
}
