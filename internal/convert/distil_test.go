package convert_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/mha2mla/mha2mla/internal/budget"
	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/distill"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/tokens"
	"github.com/mha2mla/mha2mla/internal/verify"
)

// distilInto carries p out and trains all layers together on windows.
func distilInto(ctx context.Context, p *plan.Plan, windows tokens.Windows, jobs int, progress func(distill.Progress), r checkpoint.Replace) (*convert.Result, error) {
	d := &distill.Distiller{Model: p.Source, Windows: windows, Steps: p.Maths.Distill, Progress: progress}
	return carryOut(ctx, p, convert.Options{Budget: budget.Budget{Jobs: jobs}, Distiller: d}, r)
}

// distilled converts m and trains all layers together on windows, of which the second is held
// out, and returns what the training says and how far what was written diverges on that one.
func distilled(t *testing.T, m *family.Model, o plan.Request, windows tokens.Windows) (*distill.Result, float64) {
	t.Helper()
	p := healingPlan(t, m, o)
	r, err := distilInto(context.Background(), p, windows, 2, nil, checkpoint.Replace{})
	if err != nil {
		t.Fatal(err)
	}
	report, err := verify.Compare(context.Background(), m, testmodel.Open(t, p.Output), windows[1:2], nil)
	if err != nil {
		t.Fatal(err)
	}
	return r.Distilling, report.KL
}

// TestDistilledIsWritten runs what was written, in several forms of both layouts, and finds the
// divergence that the training said it has.
func TestDistilledIsWritten(t *testing.T) {
	m := testmodel.Open(t, stories)
	windows := storyWindows(t, m, 0, 2)
	for name, o := range map[string]plan.Request{
		"deepseek":         {},
		"latent norm":      {LatentNorm: layout.NormRMS},
		"padded":           {PadToKernel: plan.PadForTarget, LargerCache: true},
		"compressed query": {QLora: new(layout.QLora(32))},
		"reference, split": {Layout: layout.FormReference, RopeDims: 2, SVD: plan.SVDSplit},
	} {
		t.Run(name, func(t *testing.T) {
			o.Rank, o.Distill = 16, 10
			said, is := distilled(t, m, o, windows)
			if said.Steps != o.Distill || !(said.After < said.Before) || said.Tokens != len(windows[1]) {
				t.Errorf("trained: %+v", said)
			}
			if !(math.Abs(said.After-is) <= 1e-3*is) {
				t.Errorf("it diverges by %g, the training says %g", is, said.After)
			}
		})
	}
}

// TestDistilledFamilies does the same with checkpoints of other families.
func TestDistilledFamilies(t *testing.T) {
	for _, kind := range []string{"qwen2", "qwen3", "granite", "phi3"} {
		t.Run(kind, func(t *testing.T) {
			m := testmodel.Llama{Kind: kind, KVHeads: 2}.Open(t)
			windows := tokens.Windows{testmodel.Tokens(60, m.Vocab, 1), testmodel.Tokens(60, m.Vocab, 2)}
			said, is := distilled(t, m, plan.Request{Rank: 12, RopeDims: 4, Theta: 10000, Distill: 4}, windows)
			if !(math.Abs(said.After-is) <= 1e-3*is) {
				t.Errorf("it diverges by %g, the training says %g", is, said.After)
			}
		})
	}
}

// TestDistillingResumes interrupts the training. Resumed, it goes on where it was, and writes
// what it would have written at once, whatever the number of processors. If what was kept is
// damaged, it begins again, and writes the same.
func TestDistillingResumes(t *testing.T) {
	m := testmodel.Open(t, stories)
	windows := storyWindows(t, m, 0, 3)
	o := plan.Request{Rank: 16, Distill: 6}
	p := healingPlan(t, m, o)
	if _, err := distilInto(context.Background(), p, windows, 1, nil, checkpoint.Replace{}); err != nil {
		t.Fatal(err)
	}
	want := files(t, p.Output)
	for name, damage := range map[string]bool{"whole": false, "damaged": true} {
		t.Run(name, func(t *testing.T) {
			p := healingPlan(t, m, o)
			for _, stop := range []int{2, 4} {
				ctx, cancel := context.WithCancel(context.Background())
				_, err := distilInto(ctx, p, windows, 2, func(at distill.Progress) {
					if at.Step > stop {
						t.Errorf("went on to step %d", at.Step)
					}
					if at.Step == stop {
						cancel()
					}
				}, checkpoint.Replace{Resume: true})
				if !errors.Is(err, context.Canceled) {
					t.Fatalf("step %d: %v", stop, err)
				}
			}
			first := 5
			if damage {
				first = 1
				kept := filepath.Join(filepath.Dir(p.Output), "."+filepath.Base(p.Output)+".mha2mla-tmp", "kept")
				for _, name := range []string{"training-0-1", "training-1-1"} {
					if err := os.WriteFile(filepath.Join(kept, name), []byte("damaged"), 0o666); err != nil {
						t.Fatal(err)
					}
				}
			}
			begun := 0
			_, err := distilInto(context.Background(), p, windows, 2, func(at distill.Progress) {
				if begun == 0 {
					begun = at.Step
				}
			}, checkpoint.Replace{Resume: true})
			if err != nil {
				t.Fatal(err)
			}
			if begun != first {
				t.Errorf("went on with step %d, not %d", begun, first)
			}
			if !reflect.DeepEqual(files(t, p.Output), want) {
				t.Error("the output is another")
			}
		})
	}
}
