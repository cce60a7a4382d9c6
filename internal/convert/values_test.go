package convert_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// degenerate are the weights that a stranger's checkpoint may hold. Tensors are
// meant by the end of their name.
func degenerate() map[string]testmodel.Edit {
	all := func(string, int) bool { return true }
	times := func(factor float64, ends ...string) testmodel.Edit {
		return only(all, func(v []float64) { scaleBy(v, factor) }, ends...)
	}
	edits := map[string]testmodel.Edit{
		"plain":           nil,
		"zero K":          times(0, family.KProj),
		"zero V":          times(0, family.VProj),
		"zero Q":          times(0, family.QProj),
		"zero W_o":        times(0, family.OProj),
		"zero γ":          times(0, family.InputNorm),
		"zero layer":      only(inLayer(0), func(v []float64) { clear(v) }, ".weight"),
		"zero everything": times(0, ""),
		"some γ zero":     only(all, func(v []float64) { clear(v[:len(v)/2]) }, family.InputNorm),
		"negative γ":      times(-1, family.InputNorm),
		"dead pairs of K": only(rowsOf(1, 5), func(v []float64) { clear(v) }, family.KProj),
		"dead pairs of Q": only(rowsOf(0, 4), func(v []float64) { clear(v) }, family.QProj),
		"huge row of K":   only(rowsOf(3), func(v []float64) { scaleBy(v, 1e20) }, family.KProj),
		"huge row of V":   only(rowsOf(3), func(v []float64) { scaleBy(v, 1e20) }, family.VProj),
		"tiny row of V":   only(rowsOf(3), func(v []float64) { scaleBy(v, 1e-20) }, family.VProj),
		"rank one":        only(all, alternate, family.KProj, family.VProj),
		"subnormal V":     times(1e-40, family.VProj),
	}
	scales := []float64{1e-30, 1e30}
	if !testing.Short() {
		scales = append(scales, 1e-15, 1e15)
	}
	for _, scale := range scales {
		for name, end := range map[string]string{"Q": family.QProj, "K": family.KProj, "V": family.VProj, "W_o": family.OProj, "γ": family.InputNorm, "embedding": family.Embedding, "W_down": family.DownProj} {
			edits[fmt.Sprintf("%s × %g", name, scale)] = times(scale, end)
		}
		edits[fmt.Sprintf("attention × %g", scale)] = times(scale, family.QProj, family.KProj, family.VProj, family.OProj, family.InputNorm)
	}
	return edits
}

// only makes an edit of the rows that which chooses, of tensors whose name ends so.
func only(which func(name string, row int) bool, change func([]float64), ends ...string) testmodel.Edit {
	return func(name string, row int, values []float64) {
		for _, end := range ends {
			if strings.HasSuffix(name, end) && which(name, row) {
				change(values)
				return
			}
		}
	}
}

func rowsOf(rows ...int) func(string, int) bool {
	return func(_ string, row int) bool {
		for _, r := range rows {
			if r == row {
				return true
			}
		}
		return false
	}
}

func inLayer(n int) func(string, int) bool {
	return func(name string, _ int) bool { return strings.HasPrefix(name, family.InLayer(n, "")) }
}

func scaleBy(v []float64, factor float64) {
	for i := range v {
		v[i] *= factor
	}
}

// alternate makes every row the same.
func alternate(v []float64) {
	for i := range v {
		v[i] = float64(i%3) - 1
	}
}

// TestDegenerate converts every kind of weights at full rank in every measure and
// layout: the result computes what the source does. What does not fit the type that
// is written is refused, naming the tensor.
func TestDegenerate(t *testing.T) {
	// One pair turns, and the others so slowly that nothing is lost with their
	// rotation: their keys are in the latent, beside the values.
	const still = 1e200
	type conversion struct {
		theta float64
		plan.Request
	}
	conversions := map[string]conversion{
		"transmla": {0, plan.Request{RopeDims: 8, Rank: 16, Method: mla.MethodTransMLA}},
		"q-lora":   {0, plan.Request{RopeDims: 8, Rank: 16, QLora: new(layout.QLora(32))}},
		"padded":   {0, plan.Request{RopeDims: 8, Rank: 16, QLora: new(layout.QLoraExact), PadToKernel: plan.PadForTarget, LargerCache: true}},
	}
	for _, w := range []mla.Weights{mla.WeightsAttention, mla.WeightsNorm, mla.WeightsNone} {
		conversions["deepseek, "+string(w)] = conversion{0, plan.Request{RopeDims: 8, Rank: 16, Weights: w}}
		conversions["reference, "+string(w)] = conversion{0, plan.Request{Layout: layout.FormReference, RopeDims: 8, Rank: 8, Weights: w}}
		conversions["keys and values, "+string(w)] = conversion{still, plan.Request{Layout: layout.FormReference, RopeDims: 2, Rank: 14, Select: rope.High, Weights: w}}
	}
	for name, edit := range degenerate() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for kind, c := range conversions {
				m := testmodel.Llama{KVHeads: 1, Untied: true, Theta: c.theta, Edit: edit}.Open(t)
				out := filepath.Join(t.TempDir(), "out")
				ids := testmodel.Tokens(40, m.Vocab, 4)
				want := logits(t, m, ids)
				broken := math.IsNaN(worst(want, want)) // in float32 the source itself computes nothing
				_, err := convertTo(m, out, c.Request, convert.Options{})
				var value *checkpoint.ValueError
				if broken && errors.As(err, &value) && strings.HasPrefix(value.Tensor, "model.layers.") {
					continue
				}
				if err != nil {
					t.Errorf("%s: %v", kind, err)
					continue
				}
				finiteOutput(t, kind, out)
				if broken {
					continue
				}
				if off := worst(logits(t, testmodel.Open(t, out), ids), want); !(off < 1e-3*max(1, largest(want))) {
					t.Errorf("%s: logits are off by %g of %g", kind, off, largest(want))
				}
			}
		})
	}
}

// TestDegenerateShapes converts every kind of weights in shapes at the edge of what
// there is, to fewer dimensions than they have, with statistics and without: what is
// written is finite, and its energy is a share.
func TestDegenerateShapes(t *testing.T) {
	shapes := map[string]testmodel.Llama{
		"MHA":            {},
		"GQA":            {KVHeads: 2},
		"BF16":           {KVHeads: 2, DType: checkpoint.BF16},
		"one head":       {Heads: 1, Layers: 1},
		"D = 2":          {HeadDim: 2, KVHeads: 2},
		"d = 2":          {Hidden: 2, Layers: 1, KVHeads: 2},
		"all of it, two": {Hidden: 2, HeadDim: 2, Heads: 1, Layers: 1},
	}
	methods := map[string]plan.Request{
		"default":   {},
		"small":     {Rank: 1, RopeDims: 2},
		"q-lora":    {Rank: 2, RopeDims: 2, QLora: new(layout.QLora(1))},
		"rms":       {Rank: 2, RopeDims: 2, LatentNorm: layout.NormRMS},
		"threshold": {Rank: 2, Threshold: 0.1},
		"none":      {Rank: 2, RopeDims: 2, Weights: mla.WeightsNone},
		"transmla":  {Rank: 2, RopeDims: 2, Method: mla.MethodTransMLA},
		"reference": {Layout: layout.FormReference, RopeDims: 2},
		"2-norm":    {Layout: layout.FormReference, RopeDims: 2, Select: rope.ByNorm, SVD: plan.SVDSplit},
		"gqa-mean":  {Method: mla.MethodGroupedMean, Cache: 16},
	}
	edits := degenerate()
	if testing.Short() {
		delete(shapes, "MHA")
		delete(shapes, "BF16")
		delete(shapes, "one head")
	}
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for weights, edit := range edits {
				shape.Edit = edit
				m := shape.Open(t)
				z := logits(t, m, testmodel.Tokens(20, m.Vocab, 1))
				broken := math.IsNaN(worst(z, z))
				for kind, o := range methods {
					if testing.Short() && kind != "default" {
						continue
					}
					for _, stats := range []calib.Reader{nil, statistics(t, m)} {
						if stats != nil && o.Weights == "" && o.Method == "" {
							o.Weights = mla.WeightsCalibrated
						}
						out := filepath.Join(t.TempDir(), "out")
						result, err := convertWith(m, out, o, convert.Options{Stats: stats})
						where := fmt.Sprintf("%s, %s, %v", weights, kind, stats != nil)
						switch {
						case errors.As(err, new(*plan.UsageError)), errors.As(err, new(*plan.UnsupportedError)):
							continue // no such sizes
						case broken && errors.As(err, new(*checkpoint.ValueError)):
							continue
						case err != nil:
							t.Errorf("%s: %v", where, err)
							continue
						}
						finiteOutput(t, where, out)
						for _, l := range result.Layers {
							if !(l.Energy >= -1e-9 && l.Energy <= 1+1e-9) {
								t.Errorf("%s: energy %v", where, l.Energy)
							}
						}
					}
				}
			}
		})
	}
}

// TestBeyondDouble: what cannot be computed in double precision either is refused,
// naming the tensor or the layer, and never written.
func TestBeyondDouble(t *testing.T) {
	refused := 0
	scales := []float64{1e-150, 1e250}
	if !testing.Short() {
		scales = append(scales, 1e-250, 1e-100, 1e100, 1e150)
	}
	for _, scale := range scales {
		for _, ends := range [][]string{{family.QProj}, {family.KProj}, {family.VProj}, {family.OProj}, {family.InputNorm}, {family.QProj, family.KProj, family.VProj, family.OProj, family.InputNorm}} {
			edit := only(func(string, int) bool { return true }, func(v []float64) { scaleBy(v, scale) }, ends...)
			m := testmodel.Llama{KVHeads: 2, DType: checkpoint.F64, Edit: edit}.Open(t)
			for _, o := range []plan.Request{{}, {Rank: 8, RopeDims: 4, Theta: 100}, {Rank: 8, RopeDims: 4, Weights: mla.WeightsNone}, {QLora: new(layout.QLora(3))}, {Layout: layout.FormReference}, {Method: mla.MethodTransMLA, RopeDims: 4}} {
				out := filepath.Join(t.TempDir(), "out")
				_, err := convertTo(m, out, o, convert.Options{})
				where := fmt.Sprintf("%v × %g, %+v", ends, scale, o.Layout)
				if err == nil {
					finiteOutput(t, where, out)
					continue
				}
				refused++
				if !errors.As(err, new(*mla.ExtremeError)) && !errors.As(err, new(*convert.ComputedError)) && !errors.As(err, new(*checkpoint.ValueError)) {
					t.Errorf("%s: %v", where, err)
				}
			}
		}
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
}

// TestClamp: a value that does not fit its type is refused, naming the tensor, or
// becomes the largest of the type, with one warning a tensor; others stay what they
// are.
func TestClamp(t *testing.T) {
	const gate, o = "model.layers.0.mlp.gate_proj.weight", "model.layers.0.self_attn.o_proj.weight"
	for dtype, big := range map[checkpoint.DType]float64{checkpoint.F16: -1e6, checkpoint.BF16: math.MaxFloat32} {
		rule := plan.DTypeRule(dtype)
		m := testmodel.Llama{KVHeads: 2, Eps: 1e-6, Poison: map[string]float64{gate: big, o: big}}.Open(t)
		carried, computedToo := plan.Request{DType: rule, Layout: layout.FormReference}, plan.Request{DType: rule}
		for _, options := range []plan.Request{carried, computedToo} {
			_, err := convertTo(m, filepath.Join(t.TempDir(), "out"), options, convert.Options{})
			var value *checkpoint.ValueError
			if !errors.As(err, &value) || value.Tensor != gate && value.Tensor != o || !strings.Contains(value.Remedy().String(), "clamp") {
				t.Fatalf("%s: %v", dtype, err)
			}
			options.Clamp = true
			var warnings []string
			out := filepath.Join(t.TempDir(), "out")
			if _, err := convertTo(m, out, options, convert.Options{Warn: func(w string) { warnings = append(warnings, w) }}); err != nil {
				t.Fatal(err)
			}
			slices.Sort(warnings)
			if len(warnings) != 2 || !strings.Contains(warnings[0], gate+`": 1 of its values do not fit `+string(dtype)) || !strings.Contains(warnings[1], o) {
				t.Errorf("%s: warnings %q", dtype, warnings)
			}
			finiteOutput(t, string(dtype), out)
			src := testmodel.Open(t, out).Source
			first := make([]float64, 2)
			if err := checkpoint.Read(src.Lookup(gate), 0, first); err != nil {
				t.Fatal(err)
			}
			if first[0] != math.Copysign(dtype.Largest(), big) || math.Abs(first[1]) > 10 {
				t.Errorf("%s: %v", dtype, first)
			}
		}
	}
	// what is infinite in the source stays so, with the warning that it is
	var warnings []string
	m := testmodel.Llama{Poison: map[string]float64{gate: math.Inf(-1)}}.Open(t)
	out := filepath.Join(t.TempDir(), "out")
	if _, err := convertTo(m, out, plan.Request{DType: plan.DTypeRule(checkpoint.BF16), Clamp: true}, convert.Options{Warn: func(w string) { warnings = append(warnings, w) }}); err != nil {
		t.Fatal(err)
	}
	if first := make([]float64, 1); checkpoint.Read(testmodel.Open(t, out).Source.Lookup(gate), 0, first) != nil || !math.IsInf(first[0], -1) || len(warnings) != 1 || !strings.Contains(warnings[0], "NaN or Inf") {
		t.Errorf("%v, %q", first, warnings)
	}
}

// statistics returns those of some tokens; nil if the model computes nothing.
func statistics(t *testing.T, m *family.Model) calib.Reader {
	t.Helper()
	windows := [][]int{testmodel.Tokens(20, m.Vocab, 1), testmodel.Tokens(20, m.Vocab, 2)}
	var g gathered
	take := func(_ int, s *calib.Sums) error { g = append(g, s); return nil }
	err := calib.Collect(context.Background(), m, calib.Text{Kept: windows}, nil, take, nil)
	if errors.As(err, new(*checkpoint.FormatError)) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func largest(v []float32) float64 {
	most := 0.0
	for _, x := range v {
		most = max(most, math.Abs(float64(x)))
	}
	return most
}

// finiteOutput makes sure that every tensor of an output is finite.
func finiteOutput(t *testing.T, kind, out string) {
	t.Helper()
	src, err := checkpoint.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	for _, x := range src.Tensors() {
		if err := checkpoint.ReadFinite(x, 0, make([]float64, x.Elements())); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
