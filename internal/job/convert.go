package job

import (
	"context"

	"github.com/mha2mla/mha2mla/internal/convert"
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
	o.Preparing = r.preparing()
	result, err := convert.Run(ctx, p, o)
	finish()
	return result, err
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
	if len(stats.windows) < 2 {
		return nil, plan.Misuse("one window of tokens is not enough to heal on: some are held out").
			Try("name a longer text, or a smaller %v", option.Window)
	}
	return heal.New(p.Source, stats.windows, p.Maths.Heal, r.numbered("healing"))
}
