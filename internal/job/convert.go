package job

import (
	"context"
	"time"

	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/distill"
	"github.com/mha2mla/mha2mla/internal/heal"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/plan"
)

// convert carries the plan out, healing if layers are to be healed, and has the output
// measured before it is published.
func (r *run) convert(ctx context.Context, p *plan.Plan, stats *statistics, o convert.Options) (*convert.Result, error) {
	o.Stats, o.StatsFiles, o.Text, o.Done = stats.Reader, stats.files, stats.text, stats.done
	o.Output, o.Version, o.Words, o.Warn = r.output, r.Version, r.Words, func(message string) { r.Warn(option.Plain(message)) }
	o.Measure = r.measure(stats.held)
	if p.Maths.Trains() && len(stats.windows) < 2 {
		return nil, plan.Misuse("one window of tokens is not enough to learn from: some are held out").
			Try("name a longer text, or a smaller %v", option.Window)
	}
	var finish func()
	if p.Maths.Heal == heal.None {
		o.Progress, finish = r.Progress("converting")
	} else {
		healer, err := r.healer(p, stats)
		if err != nil {
			return nil, err
		}
		defer healer.Close()
		o.Healer = healer
		healer.Progress, finish = r.Healing()
	}
	defer finish()
	if p.Maths.Distill > 0 {
		o.Distiller = r.distiller(p, stats)
		var finish func()
		o.Distiller.Progress, finish = r.Distilling()
		defer finish()
	}
	o.Preparing = r.preparing()
	return convert.Run(ctx, p, o)
}

// keepEvery is how much of a training is lost at most when it is killed.
const keepEvery = 5 * time.Minute

// distiller prepares to train all layers of p together on the text that its statistics are of.
func (r *run) distiller(p *plan.Plan, stats *statistics) *distill.Distiller {
	return &distill.Distiller{Model: p.Source, Windows: stats.windows, Steps: p.Maths.Distill, Every: keepEvery}
}

// preparing shows the progress of a model that makes tokens before it is converted; nil if
// nobody looks.
func (r *run) preparing() func(done, total int64) {
	report, finish := r.Progress("making tokens")
	if report == nil {
		return nil
	}
	return func(done, total int64) {
		report(done, total)
		if done == total {
			finish()
		}
	}
}

// healer prepares to heal the layers of p on the text that its statistics are of. Residual
// streams that are large go into the folder of the work on the output.
func (r *run) healer(p *plan.Plan, stats *statistics) (*heal.Healer, error) {
	return heal.New(p.Source, stats.windows, p.Maths.Heal, p.Maths.HealOrder, r.numbered("healing"))
}
