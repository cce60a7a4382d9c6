package study

import (
	"context"
	"os"

	"github.com/mha2mla/mha2mla/internal/budget"
	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/job"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/search"
)

// Question is what somebody wants to know of a checkpoint before it is converted.
type Question struct {
	In     string
	Config string // file to take the configuration from; empty: In has it
	plan.Request
	Stats []string // files of statistics, which are added up
	Ranks int      // of tensor parallelism to tell the cache of; 0: none
	Picture
}

// Inspect answers what a conversion would keep and lose, and draws a picture of it if one is
// named.
func (q Question) Inspect(ctx context.Context, v job.View) (*Inspection, error) {
	job.Limits{}.Set()
	m, err := job.OpenSource(q.In, q.Config)
	if err != nil {
		return nil, err
	}
	defer m.Source.Close()
	if err := q.Picture.reserve(m.Source); err != nil { // before the work, which takes time
		return nil, err
	}
	if q.Method == mla.MethodGroupedMean {
		return nil, plan.Misuse("%v has no latent to inspect", option.Method.Is(q.Method)).Try("convert, and verify the result")
	}
	stats, done, err := job.OpenStatistics(m, q.Stats)
	if err != nil {
		return nil, err
	}
	defer done()
	r, err := q.inspect(ctx, v, mla.Input{Model: m, Stats: stats})
	if err != nil {
		return nil, err
	}
	if q.Ranks > 0 {
		r.tellRanks(q.Ranks)
	}
	return r, q.Picture.draw(r, m.Source)
}

// inspect chooses, searches and inspects.
func (q Question) inspect(ctx context.Context, v job.View, in mla.Input) (*Inspection, error) {
	choices, err := plan.Choose(q.Request, in.Model, known(in.Stats))
	if err != nil {
		return nil, err
	}
	if err := job.Room(budget.LayerMemory(in.Shape(), choices.Maths(choices.Sizes()), in.Stats != nil)); err != nil {
		return nil, err
	}
	in.Method = choices.Method()
	sizes, err := job.Search(ctx, v, search.Task{Input: in, Choices: choices})
	if err != nil {
		return nil, err
	}
	progress, finish := v.Progress("inspecting")
	defer finish()
	return Inspect(ctx, in, choices, sizes, progress)
}

// known is what is known of data where statistics are all there will be.
func known(stats calib.Reader) plan.Data {
	if stats == nil {
		return plan.Data{Statistics: plan.Absent}
	}
	return plan.Data{Statistics: plan.Present}
}

// Compare answers what each method costs on a text, at the cache that is asked for or else
// at a few.
func (q Question) Compare(ctx context.Context, v job.View, text job.Reading) (*Comparison, error) {
	job.Limits{}.Set()
	m, err := job.OpenSource(q.In, q.Config)
	if err != nil {
		return nil, err
	}
	defer m.Source.Close()
	windows, err := text.Windows(ctx, m)
	if err != nil {
		return nil, err
	}
	stats, done, err := job.OpenStatistics(m, q.Stats)
	if err != nil {
		return nil, err
	}
	defer done()
	dir, err := os.MkdirTemp("", "mha2mla-compare-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	progress, finish := v.Progress("comparing")
	defer finish()
	return Compare(ctx, mla.Input{Model: m, Stats: stats}, windows, q.caches(m), dir, progress)
}

// caches are the sizes to compare at.
func (q Question) caches(m *family.Model) []int {
	if q.Cache > 0 {
		return []int{q.Cache}
	}
	return Caches(m)
}
