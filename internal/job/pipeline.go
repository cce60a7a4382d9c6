package job

import (
	"context"
	"errors"

	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/search"
)

// Run converts: it opens the checkpoint, makes sure of the place of the output, and goes
// through the stages. The output appears whole or not at all.
func (c Conversion) Run(ctx context.Context, v View) (done *Outcome, err error) {
	c.Limits.Set()
	model, err := OpenSource(c.In, c.Config)
	if err != nil {
		return nil, err
	}
	defer model.Source.Close()
	output, err := c.reserve(model)
	if err != nil {
		return nil, err
	}
	r := &run{Conversion: c, View: v, model: model, output: output}
	if output != nil {
		r.temp = output.Scratch
		defer func() {
			err = errors.Join(err, output.Discard())
			if ctx.Err() != nil && output.Left() {
				err = &unfinishedError{err}
			}
		}()
	}
	return r.stages(ctx)
}

// stages are what a conversion consists of: choose → statistics → search → plan → convert,
// which publishes, too.
func (r *run) stages(ctx context.Context) (*Outcome, error) {
	choices, stats, err := r.prepare(ctx)
	if err != nil {
		return nil, err
	}
	defer stats.done()
	layers := r.Limits.budget()
	sizes, err := r.search(ctx, search.Task{
		Input: mla.Input{Model: r.model, Stats: stats.Reader}, Choices: choices, Budget: layers, Held: stats.held, Temp: r.numbered("rehearsal"),
	})
	if err != nil {
		return nil, err
	}
	done, err := r.plan(choices, sizes, stats)
	if err != nil {
		return nil, err
	}
	if r.DryRun {
		done.Foretold, err = r.foretell(ctx, done.Plan, stats)
		return done, err
	}
	done.Result, err = r.convert(ctx, done.Plan, stats, convert.Options{Budget: layers})
	return done, err
}

// prepare makes the choices and gathers the statistics, which the caller has to give up. It
// chooses first what statistics have no say in, so that what cannot be is refused before they
// take time.
func (r *run) prepare(ctx context.Context) (*plan.Choices, *statistics, error) {
	foreseen, share, err := r.foresee()
	if err != nil {
		return nil, nil, err
	}
	stats, err := r.statistics(ctx, share)
	if err != nil {
		return nil, nil, err
	}
	choices, err := r.choose(foreseen, share, stats)
	if err != nil {
		stats.done()
		return nil, nil, err
	}
	return choices, stats, nil
}

// plan plans the output out, and says what is worth knowing of it.
func (r *run) plan(choices *plan.Choices, sizes plan.Sizes, stats *statistics) (*Outcome, error) {
	p, err := plan.New(r.Out, choices, sizes)
	if err != nil {
		return nil, err
	}
	if p.Cache.Saving < 0 {
		r.Warn(option.Textf("the cache grows from %d to %d floats per token and layer", p.Cache.Before, p.Cache.After))
	}
	return &Outcome{Plan: p, Memory: r.outcomeMemory(p, stats), Text: stats.text, Calibrated: stats.Reader != nil, Unmade: stats.unmade}, nil
}

// foresee makes the choices that can be made before there are statistics. It returns also the
// share that text of the model's own will have in these.
func (r *run) foresee() (choices *plan.Choices, share float64, err error) {
	choices, err = plan.Choose(r.Request.For(r.Out), r.model, plan.Data{})
	if err != nil {
		return nil, 0, err
	}
	if err := r.checkSpace(choices); err != nil {
		return nil, 0, err
	}
	share, err = r.share()
	if err != nil {
		return nil, 0, err
	}
	data := r.foreseen(share)
	choices, err = choices.Learn(data)
	if err != nil {
		return nil, 0, err
	}
	return choices, share, r.foreseenMemory(choices, data)
}

// choose makes all choices, now that the statistics are known.
func (r *run) choose(foreseen *plan.Choices, share float64, stats *statistics) (*plan.Choices, error) {
	choices, err := foreseen.Learn(stats.known(r.foreseen(share)))
	if err != nil {
		return nil, err
	}
	return choices, r.checkMemory(choices, stats)
}

// search finds the sizes that the choices leave open. A dry run does without where a plan is
// possible even so.
func (r *run) search(ctx context.Context, t search.Task) (plan.Sizes, error) {
	if sizes := t.Choices.Sizes(); r.DryRun && sizes.Planned() {
		return sizes, nil
	}
	return Search(ctx, r, t)
}

// Search finds the sizes that the choices of a task leave open, and shows how far it is.
func Search(ctx context.Context, v View, t search.Task) (plan.Sizes, error) {
	var finish func()
	t.Progress, finish = v.Progress("searching")
	defer finish()
	return search.Sizes(ctx, t)
}

// Plan goes through the stages before a conversion where all data are at hand and nobody
// looks: it chooses what r asks for, searches, and plans the output out.
func Plan(ctx context.Context, in mla.Input, out string, r plan.Request, d plan.Data) (*plan.Plan, error) {
	choices, err := plan.Choose(r.For(out), in.Model, d)
	if err != nil {
		return nil, err
	}
	sizes, err := search.Sizes(ctx, search.Task{Input: in, Choices: choices})
	if err != nil {
		return nil, err
	}
	return plan.New(out, choices, sizes)
}
