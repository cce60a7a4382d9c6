package convert

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mha2mla/mha2mla/internal/budget"
	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/distill"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/heal"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/sample"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// Options say how a plan is carried out. The weights do not depend on them.
type Options struct {
	budget.Budget
	Stats      calib.Reader       // of the activations; nil: none
	Healer     *heal.Healer       // betters the layers, which are then converted in order; nil: they stay as they are
	Lesson     tokens.Windows     // that another process has healed the layers on, in the same parts; nil: none has
	Won        *heal.Won          // what that has won
	Distiller  *distill.Distiller // trains all layers together when they are converted; nil: nobody does
	StatsFiles []string           // that they are from
	Text       *Text              // that they are of; nil: nobody knows
	Constants  []calib.Constant   // see mla.Input; nil: Run finds them if it needs them
	Parts      *checkpoint.Parts  // that have made the shards, for Run to join; nil: Run makes them
	Done       func()             // called when they are not needed any more; nil: nobody cares
	Force      bool               // replace what exists
	Output     *checkpoint.Output // reserved for it; nil: Run does so itself, as Force says
	Version    string             // of the program, for the files' metadata
	// Build tells the program from others of the same version; nil or empty if the version does.
	Build     func(ctx context.Context) string
	Words     option.Words            // in which the output says how it was made; nil: plain ones
	Preparing func(done, total int64) // shows the progress of a model that runs first, if it has to; may be nil
	Progress  func(done, total int64)
	Warn      func(message string)

	// Measure, if not nil, measures the whole output before it gets its final name, at the
	// path where it is until then. If it fails, the output is given up.
	Measure func(ctx context.Context, path string) (*HeldOut, error)
}

// Result is what a conversion found out. Its fields are part of the JSON output.
type Result struct {
	Layers  []LayerResult `json:"layers"`
	Healing *heal.Won     `json:"healing,omitempty"`

	// Distilling says what training all layers together has won; nil if that was not asked for.
	Distilling *distill.Result `json:"distilling,omitempty"`

	Text *Text `json:"statistics_text,omitempty"`
	*HeldOut
	Timing Timing `json:"-"` // no two runs have the same
}

// LayerResult is what was kept of one layer.
type LayerResult struct {
	Layer int `json:"layer"`
	layout.Summary
	Heal *heal.Result `json:"heal,omitempty"`
}

// run is one conversion under way.
type run struct {
	*plan.Plan
	Options
	out     *checkpoint.Output
	store   store
	shards  []*shard
	planned map[string]plan.Tensor
	begin   *fingerprint
	earlier []*layerRecord // [layers] from the run that is resumed; nil: none
	ledger  ledger
	total   int64 // bytes of the shards that it is about

	trained *trainingRecord // the state of the training that was kept last, by this run or the one that is resumed; nil: none

	warned map[*checkpoint.Tensor]bool // under mu

	statistics []checkpoint.FileDigest

	clock clock

	mu     sync.Mutex
	done   int64
	result Result
}

// Reserve makes the output out of a conversion of m this process's own.
func Reserve(m *family.Model, out string, r checkpoint.Replace) (*checkpoint.Output, error) {
	if err := plan.CheckName(out); err != nil {
		return nil, err
	}
	folder, main := plan.Place(out)
	return checkpoint.Reserve(m.Source, folder, main, r)
}

// Check makes sure that out may be written, and touches nothing.
func Check(m *family.Model, out string, force bool) error {
	if err := plan.CheckName(out); err != nil {
		return err
	}
	folder, main := plan.Place(out)
	return checkpoint.CheckOutput(m.Source, folder, checkpoint.Names(main), main == "", force)
}

// Run carries out p. Nothing gets its final name before everything is written. It
// uses up o.Output.
func Run(ctx context.Context, p *plan.Plan, o Options) (result *Result, err error) {
	out := o.Output
	if out == nil {
		if out, err = Reserve(p.Source, p.Output, checkpoint.Replace{Force: o.Force}); err != nil {
			return nil, err
		}
	}
	defer func() { err = errors.Join(err, out.Discard()) }()
	if err := out.Declare(p.Files()); err != nil {
		return nil, err
	}
	whole := &wholeLedger{out: out}
	r := newRun(p, o, whole)
	r.out, r.store = out, out
	if o.Parts != nil {
		joining := &joiningLedger{wholeLedger{out: out}, o.Parts}
		whole, r.ledger = &joining.wholeLedger, joining
	}
	if err := r.write(ctx); err != nil {
		return nil, errors.Join(err, whole.keep(r))
	}
	r.result.Timing = r.clock.Timing
	if err := r.unchanged(); err != nil {
		return nil, err
	}
	if o.Done != nil {
		o.Done()
	}
	return &r.result, out.Commit()
}

// newRun prepares to carry out p.
func newRun(p *plan.Plan, o Options, l ledger) *run {
	r := &run{Plan: p, Options: o, ledger: l, warned: make(map[*checkpoint.Tensor]bool), planned: make(map[string]plan.Tensor)}
	r.earlier = make([]*layerRecord, p.Source.Layers)
	r.result.Layers, r.result.Text, r.result.Healing = make([]LayerResult, p.Source.Layers), o.Text, o.Won
	return r
}

// unchanged is an error if an input is no longer what it was.
func (r *run) unchanged() error {
	if err := r.Source.Source.Unchanged(); err != nil || r.Stats == nil {
		return err
	}
	return r.Stats.Unchanged()
}

// identify finds out all that the bytes of the output depend on.
func (r *run) identify(ctx context.Context) (err error) {
	if r.Parts != nil {
		return r.recognise(ctx)
	}
	for _, path := range r.StatsFiles {
		d, err := checkpoint.DigestFile(ctx, path)
		if err != nil {
			return err
		}
		r.statistics = append(r.statistics, d)
	}
	slices.SortFunc(r.statistics, func(a, b checkpoint.FileDigest) int { // they are added up, so that their order means nothing
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.SHA, b.SHA))
	})
	r.begin, err = r.fingerprint(ctx)
	return err
}

// makeShards writes the shards, and no other file.
func (r *run) makeShards(ctx context.Context) error {
	if err := r.open(ctx); err != nil {
		return err
	}
	if r.Constants == nil && r.Stats == nil && r.Maths.FoldsBiases(r.Source) {
		var err error
		r.Constants, err = sample.Constants(ctx, r.Source, func() string { return r.out.Scratch("made") }, r.Preparing)
		if err != nil {
			return err
		}
	}
	return r.work(ctx)
}

// write writes every file under its temporary name.
func (r *run) write(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, r.abandon()) }()
	if err := r.identify(ctx); err != nil {
		return err
	}
	if err := r.makeShards(ctx); err != nil {
		return err
	}
	if r.Healer != nil {
		if r.result.Healing, err = r.Healer.Won(); err != nil {
			return err
		}
	}
	if err := r.writeOthers(ctx); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// work converts all layers and copies everything else.
func (r *run) work(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return r.carryAll(ctx) })
	group.Go(func() error { return r.digestInputs(ctx) })
	group.Go(func() error {
		if r.Distiller != nil {
			return r.distil(ctx)
		}
		return r.each(ctx, r.layers(), r.Healer, r.layer)
	})
	return group.Wait()
}

// each calls f for some layers, as many at a time as the budget allows, or one after the other
// if the healer, which is nil if f heals none, heals them so.
func (r *run) each(ctx context.Context, layers []int, healer *heal.Healer, f func(ctx context.Context, n int) error) error {
	side, need := r.Budget, budget.LayerMemory(r.Source.Shape(), r.Maths, r.Stats != nil)
	if healer != nil {
		need += healer.Memory(r.Maths.Rank + r.Maths.RopeDims)
		if !healer.SideBySide() {
			side.Jobs = 1
		}
	}
	return side.Each(ctx, len(layers), need, func(ctx context.Context, i int) error { return f(ctx, layers[i]) })
}

// layers lists the layers that are to be converted in the order of their tensors in
// the files, so that one shard after the other gets complete; or in that of the model
// if they are healed, because the input of one is what the healed ones before it make.
func (r *run) layers() []int {
	if r.Healer != nil {
		return r.allLayers()
	}
	first := make(map[int]int) // index of a layer's first tensor
	for i, t := range slices.Backward(r.Tensors) {
		if n, ok := r.layerOf(t); ok {
			first[n] = i
		}
	}
	order := slices.Collect(maps.Keys(first))
	slices.SortFunc(order, func(a, b int) int { return first[a] - first[b] })
	return slices.DeleteFunc(order, r.keptLayer)
}

// allLayers lists the layers in the order of the model.
func (r *run) allLayers() []int {
	all := make([]int, r.Source.Layers)
	for n := range all {
		all[n] = n
	}
	return all
}

// layer converts layer n and writes its tensors.
func (r *run) layer(ctx context.Context, n int) error {
	layer, err := r.converted(ctx, n)
	if err != nil {
		return err
	}
	return r.writeLayer(n, layer)
}

// converted converts layer n, and heals it if layers are healed.
func (r *run) converted(ctx context.Context, n int) (layout.Converted, error) {
	layer, err := r.closed(n)
	if err != nil {
		return nil, err
	}
	found := &layerRecord{LayerResult: r.result.Layers[n], Ranking: r.result.Layers[n].Ranking}
	start := time.Now()
	switch {
	case r.Healer != nil:
		err = r.heal(ctx, found, layer)
	case r.Lesson != nil:
		err = r.takeHealed(found, layer)
	}
	if err != nil {
		return nil, err
	}
	r.clock.add(&r.clock.Heal, start, 0)
	return layer, r.note(found)
}

// closed converts layer n in closed form.
func (r *run) closed(n int) (layout.Converted, error) {
	weights := &timedReads{Projections: r.Source.Attention(n), clock: &r.clock}
	start := time.Now()
	attention, err := mla.Input{Model: r.Source, Stats: r.Stats, Method: r.Maths.Method, Shrinkage: r.Maths.Shrinkage, Constants: r.Constants}.ReadFrom(weights, n)
	if err != nil {
		return nil, mla.Explain(n, err)
	}
	r.clock.add(&r.clock.Statistics, start, weights.take())
	start = time.Now()
	layer, err := r.Layout.Convert(attention)
	if err != nil {
		return nil, mla.Explain(n, err)
	}
	r.clock.add(&r.clock.Factor, start, weights.take())
	r.result.Layers[n] = LayerResult{Layer: n, Summary: layer.Summary()}
	if r.result.Layers[n].Fallback {
		r.warn(fmt.Sprintf("layer %d: an eigenvalue problem failed its check and was solved again by another algorithm, which takes longer", n))
	}
	return layer, nil
}

// writeLayer writes the tensors of layer n.
func (r *run) writeLayer(n int, layer layout.Converted) error {
	start := time.Now()
	err := layer.Write(func(name string) layout.Sink {
		return r.sink(family.InLayer(n, name))
	})
	r.clock.add(&r.clock.Write, start, 0)
	return err
}

// note puts down what was found out about a layer; at once on the disk if that took long.
func (r *run) note(found *layerRecord) error {
	r.result.Layers[found.Layer] = found.LayerResult
	return r.ledger.note(record{Layer: found}, found.Heal != nil)
}

// advance reports bytes written.
func (r *run) advance(bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done += bytes
	if r.Progress != nil {
		r.Progress(r.done, r.total)
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
