package convert_test

import (
	"bytes"
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
	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/forward"
	"github.com/mha2mla/mha2mla/internal/heal"
	"github.com/mha2mla/mha2mla/internal/latent"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/rope"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// healed converts m and heals it on windows.
func healed(t *testing.T, m *family.Model, o plan.Request, windows [][]int) (*plan.Plan, *convert.Result) {
	t.Helper()
	p := healingPlan(t, m, o)
	r, err := healInto(context.Background(), p, *o.Heal, windows, nil, checkpoint.Replace{})
	if err != nil {
		t.Fatal(err)
	}
	return p, r
}

// healInto carries p out and heals every layer in so many steps.
func healInto(ctx context.Context, p *plan.Plan, steps heal.Steps, windows [][]int, progress func(heal.Progress), r checkpoint.Replace) (*convert.Result, error) {
	h, err := heal.New(p.Source, windows, steps, p.Maths.HealOrder, nil)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	h.Progress = progress
	return carryOut(ctx, p, convert.Options{Budget: budget.Budget{Jobs: 2}, Healer: h}, r)
}

// carryOut carries p out in an output that is reserved as r says.
func carryOut(ctx context.Context, p *plan.Plan, o convert.Options, r checkpoint.Replace) (_ *convert.Result, err error) {
	o.Output, err = convert.Reserve(p.Source, p.Output, r)
	if err != nil {
		return nil, err
	}
	return convert.Run(ctx, p, o)
}

// healingPlan plans a conversion of m that heals.
func healingPlan(t *testing.T, m *family.Model, o plan.Request) *plan.Plan {
	t.Helper()
	p, err := planFor(m, filepath.Join(t.TempDir(), "out"), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestHealingResumes interrupts healing in every layer. Resumed, it heals none again
// that was healed, and writes what it would have written at once; what it was healed on
// must be the same, and what is damaged is healed again.
func TestHealingResumes(t *testing.T) {
	m := testmodel.Open(t, stories)
	windows := storyWindows(t, m, 0, 3)
	for name, o := range map[string]plan.Request{
		"one file":         {DType: plan.DTypeRule(checkpoint.BF16)},
		"shards":           {LatentNorm: layout.NormRMS, QLora: new(layout.QLora(32)), MaxShard: 300e3},
		"reference, split": {Layout: layout.FormReference, RopeDims: 2, SVD: plan.SVDSplit},
	} {
		t.Run(name, func(t *testing.T) {
			o.Heal, o.Rank, o.HealOrder = new(heal.Steps(3)), 16, heal.Sequential
			p, _ := healed(t, m, o, windows)
			want := files(t, p.Output)
			p = healingPlan(t, m, o)
			for stop := range m.Layers {
				ctx, cancel := context.WithCancel(context.Background())
				_, err := healInto(ctx, p, *o.Heal, windows, func(at heal.Progress) {
					if at.Layer < stop-1 {
						t.Errorf("layer %d was healed again", at.Layer)
					}
					if at.Layer == stop {
						cancel()
					}
				}, checkpoint.Replace{Resume: true})
				if !errors.Is(err, context.Canceled) {
					t.Fatalf("layer %d: %v", stop, err)
				}
			}
			_, err := healInto(context.Background(), p, *o.Heal, windows[1:], nil, checkpoint.Replace{Resume: true})
			if !errors.As(err, new(*convert.ResumeError)) {
				t.Errorf("with other tokens: %v", err)
			}
			first := filepath.Join(filepath.Dir(p.Output), "."+filepath.Base(p.Output)+".mha2mla-tmp", "kept", "layer-0")
			if err := os.WriteFile(first, []byte("damaged"), 0o666); err != nil {
				t.Fatal(err)
			}
			healedNow := make(map[int]bool)
			_, err = healInto(context.Background(), p, *o.Heal, windows, func(at heal.Progress) { healedNow[at.Layer] = true }, checkpoint.Replace{Resume: true})
			if err != nil {
				t.Fatal(err)
			}
			if len(healedNow) != 2 || !healedNow[0] || !healedNow[m.Layers-1] {
				t.Errorf("healed at last: %v", healedNow)
			}
			if !reflect.DeepEqual(files(t, p.Output), want) {
				t.Error("the output is another")
			}
		})
	}
}

// TestSideBySideResumes interrupts layers that are healed at the same time. Resumed, the
// conversion writes what it would have written at once.
func TestSideBySideResumes(t *testing.T) {
	m := testmodel.Open(t, stories)
	windows := storyWindows(t, m, 0, 3)
	o := plan.Request{Rank: 16, Heal: new(heal.Steps(4)), HealOrder: heal.Both}
	p, _ := healed(t, m, o, windows)
	want := files(t, p.Output)
	p = healingPlan(t, m, o)
	ctx, cancel := context.WithCancel(context.Background())
	_, err := healInto(ctx, p, *o.Heal, windows, func(at heal.Progress) {
		if at.Layer == 2 {
			cancel()
		}
	}, checkpoint.Replace{Resume: true})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if _, err := healInto(context.Background(), p, *o.Heal, windows, nil, checkpoint.Replace{Resume: true}); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(files(t, p.Output), want) {
		t.Error("the output is another")
	}
}

// TestHealOrders: in every order a layer becomes the same, however many are under way at a time.
// What steps on the stream of the healed layers make up for is left behind the last layer where
// there are none.
func TestHealOrders(t *testing.T) {
	m := testmodel.Open(t, stories)
	windows := storyWindows(t, m, 0, 12)
	left := make(map[heal.Order]float64)
	for _, order := range heal.Orders() {
		var outputs []map[string]string
		for _, jobs := range []int{1, 3} {
			p := healingPlan(t, m, plan.Request{Rank: 16, Heal: new(heal.Steps(30)), HealOrder: order})
			h, err := heal.New(m, windows, 30, order, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			r, err := convert.Run(context.Background(), p, convert.Options{Budget: budget.Budget{Jobs: jobs}, Healer: h})
			if err != nil {
				t.Fatal(err)
			}
			outputs, left[order] = append(outputs, files(t, p.Output)), r.Healing.After
		}
		if !reflect.DeepEqual(outputs[0], outputs[1]) {
			t.Errorf("%s: one layer at a time makes another output than three", order)
		}
	}
	if !(left[heal.Both] < left[heal.Own]) || !(left[heal.Sequential] < left[heal.Own]) {
		t.Errorf("left behind the last layer: %v", left)
	}
}

// TestOwnOrder: on the source's own stream it makes no difference to a layer what the layers
// before it were converted to, and on that of the healed layers it does.
func TestOwnOrder(t *testing.T) {
	m := testmodel.Open(t, stories)
	windows := storyWindows(t, m, 0, 3)
	for order, independent := range map[heal.Order]bool{heal.Own: true, heal.Sequential: false} {
		var second [2][]byte
		for k, rank := range []int{16, 8} {
			h, err := heal.New(m, windows, 2, order, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			for n, r := range []int{rank, 16} {
				a, err := mla.Input{Model: m}.Read(n)
				if err != nil {
					t.Fatal(err)
				}
				l, err := a.Convert(mla.Options{Rank: r, RopeDims: 8, RopeTheta: 10000, Select: rope.BySensitivity, Weights: mla.WeightsAttention})
				if err != nil {
					t.Fatal(err)
				}
				w, err := l.Weights()
				if err != nil {
					t.Fatal(err)
				}
				healed, _, err := h.Layer(context.Background(), n, w)
				if err != nil {
					t.Fatal(err)
				}
				if healed == nil {
					t.Fatalf("%s: layer %d was not healed", order, n)
				}
				second[k] = healed.Encode()
			}
		}
		if bytes.Equal(second[0], second[1]) != independent {
			t.Errorf("%s: the second layer depends on the first: %v", order, independent)
		}
	}
}

// TestHealedIsWritten runs what was written, in every form of both layouts, and
// finds in each layer the error that healing said it has. Of two windows the second
// is held out.
func TestHealedIsWritten(t *testing.T) {
	m := testmodel.Open(t, stories)
	windows := storyWindows(t, m, 0, 2)
	for name, o := range map[string]plan.Request{
		"deepseek":           {},
		"latent norm":        {LatentNorm: layout.NormRMS},
		"padded":             {PadToKernel: plan.PadForTarget, LargerCache: true},
		"padded, norm":       {PadToKernel: plan.PadForTarget, LargerCache: true, LatentNorm: layout.NormRMS},
		"compressed query":   {QLora: new(layout.QLora(32))},
		"exact query":        {QLora: new(layout.QLoraExact)},
		"reference":          {Layout: layout.FormReference, RopeDims: 2},
		"reference, split":   {Layout: layout.FormReference, RopeDims: 2, SVD: plan.SVDSplit},
		"reference, by norm": {Layout: layout.FormReference, RopeDims: 4, Select: rope.ByNorm},
		"published":          {Method: mla.MethodTransMLA},
	} {
		t.Run(name, func(t *testing.T) {
			o.Heal, o.Rank = new(heal.Steps(6)), 16
			p, r := healed(t, m, o, windows)
			out := testmodel.Open(t, p.Output)
			won := 0
			layers, behind := writtenErrors(t, m, out, p.Residual, windows[1])
			for n, want := range layers {
				got := r.Layers[n].Heal
				if got.After > got.Before {
					t.Errorf("layer %d: healing made %g of %g", n, got.After, got.Before)
				}
				if got.Steps > 0 {
					won++
				}
				if !(math.Abs(got.After-want) <= 2e-3*want) {
					t.Errorf("layer %d: the error is %g, healing says %g", n, want, got.After)
				}
			}
			if won == 0 {
				t.Error("no layer was healed")
			}
			if got := r.Healing; got.Tokens != len(windows[1]) || !(math.Abs(got.After-behind) <= 2e-3*behind) || !(got.After < got.Before) {
				t.Errorf("behind the last layer the error is %g, healing says %+v", behind, got)
			}
		})
	}
}

// TestHealedFamilies does the same with checkpoints of other families, whose biases,
// norms and factors the source has and the weights that are healed do not.
func TestHealedFamilies(t *testing.T) {
	for _, kind := range []string{"qwen2", "qwen3", "granite", "phi3", "internlm2"} {
		t.Run(kind, func(t *testing.T) {
			m := testmodel.Llama{Kind: kind, KVHeads: 2}.Open(t)
			windows := [][]int{testmodel.Tokens(60, m.Vocab, 1), testmodel.Tokens(60, m.Vocab, 2)}
			p, r := healed(t, m, plan.Request{Rank: 12, RopeDims: 4, Theta: 10000, Heal: new(heal.Steps(20))}, windows)
			out := testmodel.Open(t, p.Output)
			layers, _ := writtenErrors(t, m, out, p.Residual, windows[1])
			for n, want := range layers {
				if got := r.Layers[n].Heal.After; !(math.Abs(got-want) <= 2e-3*want) {
					t.Errorf("layer %d: the error is %g, healing says %g", n, want, got)
				}
			}
		})
	}
}

// writtenErrors returns, for every layer, ‖x' − y'‖² / ‖y' − x‖² on one window, with x
// and x' the residual stream of out before and after its attention, divided by scale,
// and y' that of m after its; and the same of the streams behind the last layer, relative
// to that of m.
func writtenErrors(t *testing.T, m, out *family.Model, scale float64, ids []int) (layers []float64, behind float64) {
	t.Helper()
	var streams [2]f32.Matrix
	decoders := [2]forward.Decoder{{Model: m}, {Model: out}}
	for k, d := range decoders {
		var err error
		if streams[k], err = d.Embed(ids); err != nil {
			t.Fatal(err)
		}
	}
	none := make([]float64, len(streams[0].Data))
	from := func(before []float64) float64 {
		off, size := 0.0, 0.0
		for i, v := range streams[0].Data {
			d, s := float64(v)-float64(streams[1].Data[i])/scale, float64(v)-before[i]/scale
			off, size = off+d*d, size+s*s
		}
		return off / size
	}
	for n := range m.Layers {
		before := make([]float64, len(none))
		for i, v := range streams[1].Data {
			before[i] = float64(v)
		}
		var both [2]*forward.Layer
		for k, d := range decoders {
			l, err := d.Layer(n)
			if err != nil {
				t.Fatal(err)
			}
			streams[k].Add(l.Attend(streams[k]))
			both[k] = l
		}
		layers = append(layers, from(before))
		for k, l := range both {
			added, err := l.MLP(streams[k])
			if err != nil {
				t.Fatal(err)
			}
			streams[k].Add(added)
		}
	}
	return layers, from(none)
}

// TestWon: what healing says that the closed forms lose is what a conversion without
// healing loses.
func TestWon(t *testing.T) {
	m := testmodel.Open(t, stories)
	windows := storyWindows(t, m, 0, 2)
	o := plan.Request{Rank: 16, RopeDims: 8, Theta: 10000, Heal: new(heal.Steps(6))}
	_, r := healed(t, m, o, windows)
	o.Heal = nil
	p := healingPlan(t, m, o)
	if _, err := convert.Run(context.Background(), p, convert.Options{}); err != nil {
		t.Fatal(err)
	}
	_, want := writtenErrors(t, m, testmodel.Open(t, p.Output), p.Residual, windows[1])
	if got := r.Healing.Before; !(math.Abs(got-want) <= 2e-3*want) {
		t.Errorf("the error is %g, healing says %g", want, got)
	}
	again, err := convert.ReadResult(p.Output)
	if err != nil || again.Healing != nil || len(again.Layers) != m.Layers {
		t.Errorf("the manifest says %+v, %v", again, err)
	}
}

// TestHealNothing: a layer that has lost nothing keeps its closed form.
func TestHealNothing(t *testing.T) {
	m := testmodel.Llama{KVHeads: 1}.Open(t)
	windows := [][]int{testmodel.Tokens(40, m.Vocab, 1), testmodel.Tokens(40, m.Vocab, 2)}
	_, r := healed(t, m, plan.Request{RopeDims: 8, Rank: 16, Theta: 10000, Heal: new(heal.Steps(3))}, windows)
	for _, l := range r.Layers {
		if l.Heal.Steps != 0 || l.Heal.After != l.Heal.Before || l.Heal.Before > 1e-6 {
			t.Errorf("layer %d: %+v", l.Layer, l.Heal)
		}
	}
}

// TestRehearsal: what a rehearsal says that conversions lose is how far the residual streams
// of what they write are from the source's.
func TestRehearsal(t *testing.T) {
	m := testmodel.Llama{KVHeads: 2}.Open(t)
	windows := tokens.Windows{testmodel.Tokens(30, m.Vocab, 1), testmodel.Tokens(20, m.Vocab, 2)}
	var plans []*plan.Plan
	for _, rank := range []int{24, 8} {
		p, err := convertTo(m, filepath.Join(t.TempDir(), "out"), plan.Request{Rank: rank, RopeDims: 8, Theta: m.RopeTheta}, convert.Options{})
		if err != nil {
			t.Fatal(err)
		}
		plans = append(plans, p)
	}
	r, err := heal.NewRehearsal(m, windows, len(plans), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for n := range m.Layers {
		err := r.Layer(context.Background(), n, func(i int) (*latent.Weights, error) {
			layer, err := mla.Input{Model: m}.Read(n)
			if err != nil {
				return nil, err
			}
			converted, err := layer.Convert(plans[i].Maths)
			if err != nil {
				return nil, err
			}
			return converted.Weights()
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	losses, err := r.Losses()
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range plans {
		off, size := 0.0, 0.0
		for _, w := range windows {
			want, got := stream(t, m, w, 1), stream(t, testmodel.Open(t, p.Output), w, p.Residual)
			for k, v := range want {
				off, size = off+(got[k]-v)*(got[k]-v), size+v*v
			}
		}
		if math.Abs(losses[i]-off/size) > 1e-3*off/size {
			t.Errorf("rank %d: a rehearsal says %g, the stream is off by %g", p.Maths.Rank, losses[i], off/size)
		}
	}
	if !(losses[0] < losses[1]) {
		t.Errorf("losses %v: the larger rank loses more", losses)
	}
}

// stream is the residual stream of m behind the last layer, divided by the factor that it
// has.
func stream(t *testing.T, m *family.Model, ids []int, factor float64) []float64 {
	t.Helper()
	d := forward.Decoder{Model: m}
	x, err := d.Embed(ids)
	if err != nil {
		t.Fatal(err)
	}
	for n := range m.Layers {
		layer, err := d.Layer(n)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := layer.Forward(x); err != nil {
			t.Fatal(err)
		}
	}
	var all []float64
	for _, v := range x.Data {
		all = append(all, float64(v)/factor)
	}
	return all
}
