package job

import (
	"context"
	"slices"
	"time"

	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/distill"
	"github.com/mha2mla/mha2mla/internal/heal"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/sample"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// convert carries the plan out, healing if layers are to be healed, and has the output
// measured before it is published.
func (r *run) convert(ctx context.Context, p *plan.Plan, stats *statistics, o convert.Options) (*convert.Result, error) {
	r.fill(&o, stats)
	o.Output = r.output
	o.Measure = r.measure(stats.held)
	windows, err := r.lesson(ctx, p, stats)
	if err != nil {
		return nil, err
	}
	if p.Maths.Heal == heal.None || o.Parts != nil {
		var finish func()
		o.Progress, finish = r.Progress("converting")
		defer finish()
	} else {
		var done func()
		if o.Healer, done, err = r.healer(p, windows); err != nil {
			return nil, err
		}
		defer done()
	}
	if p.Maths.Distill > 0 {
		o.Distiller = &distill.Distiller{Model: p.Source, Windows: windows, Steps: p.Maths.Distill, Every: keepEvery}
		var finish func()
		o.Distiller.Progress, finish = r.Distilling()
		defer finish()
	}
	o.Preparing = r.preparing()
	return convert.Run(ctx, p, o)
}

// healer returns what heals the layers of p on windows, and a function that gives it up.
func (r *run) healer(p *plan.Plan, windows tokens.Windows) (*heal.Healer, func(), error) {
	healer, err := heal.New(p.Source, windows, p.Maths.Heal, p.Maths.HealOrder, r.numbered("healing"))
	if err != nil {
		return nil, nil, err
	}
	var finish func()
	healer.Progress, finish = r.Healing()
	return healer, func() {
		finish()
		healer.Close() //nolint:errcheck // nothing of it is kept
	}, nil
}

// fill sets those options that all parts of a conversion have alike.
func (r *run) fill(o *convert.Options, stats *statistics) {
	o.Stats, o.StatsFiles, o.Text, o.Done = stats.Reader, stats.files, stats.text, stats.done
	o.Version, o.Build, o.Words, o.Warn = r.Version, r.Build, r.Words, func(message string) { r.Warn(option.Plain(message)) }
}

// keepEvery is how much of a training is lost at most when it is killed.
const keepEvery = 5 * time.Minute

// lesson returns the windows that the layers of p learn from: those that its statistics are of, and
// more that the source makes.
func (r *run) lesson(ctx context.Context, p *plan.Plan, stats *statistics) (tokens.Windows, error) {
	if p.Maths.Trains() && len(stats.windows) < 2 {
		return nil, plan.Misuse("one window of tokens is not enough to learn from: some are held out").
			Try("name a longer text, or a smaller %v", option.Window)
	}
	made := r.lessonPlan(p.Maths, stats)
	if made == nil || stats.more != nil {
		return slices.Concat(stats.windows, stats.more), nil
	}
	text, err := r.gatherer().makeText(ctx, *made, stats.given)
	return slices.Concat(stats.windows, text.Kept), err
}

// readings is how often a text is read to learn from at most, where the source can make more of
// it. What is read often is learned by heart, and that at the cost of other texts: SmolLM2-135M at
// half its cache lost 0.173 on TinyStories after 120 steps that read 65,536 tokens of WikiText-2
// three times and a half, and 0.162 after 150 that read twice what these and made text were.
const readings = 2

// lessonPlan plans the text that the source is to make to learn from, beside those that the
// statistics are of; nil if there is enough of these, or where the user wants no text of the
// source's own in them.
func (r *run) lessonPlan(maths mla.Options, stats *statistics) *sample.Plan {
	if stats.text == nil || stats.text.Share == 0 {
		return nil
	}
	read := max(maths.Heal.Tokens(), distill.Tokens(maths.Distill, stats.windows))
	more := read/readings - stats.windows.Tokens()
	if more <= 0 {
		return nil
	}
	p := textPlan(r.model, sample.Learning, more, r.Window, r.Memory)
	return &p
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
