package study

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/job"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/tokens"
	"github.com/mha2mla/mha2mla/internal/verify"
)

// Comparison is the table method × cache. Its fields are the JSON output.
type Comparison struct {
	Source  int   `json:"source_floats"` // cache of the source, floats per token and layer
	Tokens  int   `json:"tokens"`        // compared on
	Results []Row `json:"results"`
}

// Row is the best that a method does within a cache.
type Row struct {
	Method  mla.Method `json:"method"`
	Cache   int        `json:"cache"`  // floats that were allowed
	Works   bool       `json:"works"`  // false: the method cannot do with so few, and the rest is empty
	Floats  int        `json:"floats"` // that are used
	KL      float64    `json:"kl"`     // KL(source‖converted), nats per token
	Top1    float64    `json:"top1_agreement"`
	Setting string     `json:"setting"`
}

// Caches returns the sizes to compare at unless others are asked for: a half, 5/16
// and 3/16 of the source's.
func Caches(m *family.Model) []int {
	full := m.CacheFloats()
	return []int{full / 2, 5 * full / 16, 3 * full / 16}
}

// Compare converts a checkpoint by every method at several sizes of its cache and
// measures on windows of tokens what each costs. Methods with settings of their own get, at
// every cache, the best of the settings their papers try, as measured on these
// very tokens; this program's own gets what it finds without having seen them.
// Conversions are written to folders in dir and removed again.
func Compare(ctx context.Context, in mla.Input, windows tokens.Windows, caches []int, dir string, progress func(done, total int64)) (*Comparison, error) {
	r := &Comparison{Source: in.CacheFloats(), Tokens: windows.Tokens()}
	x := &comparing{Input: in, ctx: ctx, windows: windows, dir: dir}
	total := len(caches) * len(mla.Methods())
	for _, cache := range caches {
		for _, method := range mla.Methods() {
			row, err := x.best(method, cache)
			if err != nil {
				return nil, err
			}
			r.Results = append(r.Results, *row)
			if progress != nil {
				progress(int64(len(r.Results)), int64(total))
			}
		}
	}
	return r, nil
}

// comparing is a comparison under way.
type comparing struct {
	mla.Input
	ctx     context.Context
	windows tokens.Windows
	dir     string
}

// best returns what the best setting of a method does within a cache.
func (x *comparing) best(method mla.Method, cache int) (*Row, error) {
	best := &Row{Method: method, Cache: cache, Setting: "there is no setting so small"}
	for _, r := range settings(method, cache, x.HeadDim) {
		row, err := x.measure(r)
		var usage *plan.UsageError
		var unsupported *plan.UnsupportedError
		switch {
		case errors.As(err, &usage), errors.As(err, &unsupported): // not at this size
		case err != nil:
			return nil, err
		case !best.Works || row.KL < best.KL:
			best = row
		}
	}
	return best, nil
}

// measure converts as r asks and compares.
func (x *comparing) measure(r plan.Request) (*Row, error) {
	out := filepath.Join(x.dir, "converted")
	p, err := job.Plan(x.ctx, x.Input, out, r, known(x.Stats))
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(out)
	if _, err := convert.Run(x.ctx, p, convert.Options{Stats: x.Stats}); err != nil {
		return nil, err
	}
	report, err := x.verify(out)
	if err != nil {
		return nil, err
	}
	return &Row{
		Method: p.Method, Cache: r.Cache, Works: true, Floats: p.Cache.After, KL: report.KL, Top1: report.Top1, Setting: setting(p),
	}, nil
}

// verify compares the source with what was written.
func (x *comparing) verify(out string) (*verify.Report, error) {
	converted, err := job.Open(out, "")
	if err != nil {
		return nil, err
	}
	defer converted.Source.Close()
	return verify.Compare(x.ctx, x.Model, converted, x.windows, nil)
}

// setting says with which sizes a conversion was planned.
func setting(p *plan.Plan) string {
	o := p.Maths
	switch o.Method {
	case mla.MethodGroupedMean:
		return fmt.Sprintf("%d KV heads", p.Target.KVHeads)
	case mla.MethodMHA2MLA:
		return fmt.Sprintf("rank %d, %d rotary dimensions per KV head, %s", o.Rank, o.RopeDims, o.Select)
	case mla.MethodTransMLA:
		return fmt.Sprintf("rank %d, rope-dims %d, freq-fold %d", o.Rank, o.RopeDims, o.FreqFold)
	default:
		return fmt.Sprintf("rank %d, rope-dims %d, rope_theta %.9g", o.Rank, o.RopeDims, o.RopeTheta)
	}
}
