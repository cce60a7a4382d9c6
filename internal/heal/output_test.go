package heal

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/latent"
	"github.com/mha2mla/mha2mla/internal/latent/latenttest"
)

// TestOutputFit: where nothing but the output projection was disturbed, the closed form
// finds it again; and where the targets are another layer's, no change of the projection
// betters what it has found on the tokens that it learned from.
func TestOutputFit(t *testing.T) {
	for name, f := range latenttest.Forms {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(7, 8))
			want := f.Weights(rng)
			s := windows(rng, latent.New[float32](want), 16, 30)
			disturbed := *want
			disturbed.Output = mat.DenseCopyOf(want.Output)
			disturbed.Output.Apply(func(_, _ int, v float64) float64 { return v + 0.3*rng.NormFloat64() }, disturbed.Output)
			fit := trainingOn(s, &disturbed, 4)
			r, err := fit.run(Output)
			if err != nil {
				t.Fatal(err)
			}
			if !r.Output || !r.Better() || r.Steps != 0 || !(r.Before > 0.01) || !(r.After < 1e-4*r.Before) {
				t.Errorf("fitted %+v", r)
			}
			if now, err := fit.heldError(); err != nil || math.Abs(now-r.After) > 1e-3*r.After+1e-6 {
				t.Errorf("the error is %g, not %g (%v)", now, r.After, err)
			}
		})
	}
}

// TestNormalEquations holds the closed form against its definition: the gradient of
// ‖Z·Wᵀ − Y‖² + λ‖W − old‖² is zero, and the loss of any W is that of the tokens.
func TestNormalEquations(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	const tokens, width, hidden = 40, 6, 5
	z, y, old := latenttest.Random(rng, tokens, width, 1), latenttest.Random(rng, tokens, hidden, 1), latenttest.Random(rng, hidden, width, 1)
	n := &normal{square: mat.NewSymDense(width, nil), cross: mat.NewDense(width, hidden, nil)}
	for from := 0; from < tokens; from += 10 {
		part := func(m *mat.Dense) *mat.Dense {
			_, c := m.Dims()
			return mat.DenseCopyOf(m.Slice(from, from+10, 0, c))
		}
		n.add(f32.From[float32](mat.DenseCopyOf(part(z).T())), batch{target: f32.From[float32](part(y))})
	}
	const ridge = 0.1
	w := n.solve(old, ridge)
	var off, gradient, pull mat.Dense
	off.Mul(z, w.T())
	off.Sub(&off, y)
	gradient.Mul(off.T(), z)
	pull.Sub(w, old)
	pull.Scale(ridge*mat.Trace(n.square)/width, &pull)
	gradient.Add(&gradient, &pull)
	if size := mat.Norm(&gradient, 2); size > 1e-4 {
		t.Errorf("the gradient is %g", size)
	}
	norm := mat.Norm(&off, 2)
	if got := n.off(w); math.Abs(got-norm*norm) > 1e-4*got {
		t.Errorf("the loss is %g, want %g", got, norm*norm)
	}
	zero := &normal{square: mat.NewSymDense(width, nil), cross: mat.NewDense(width, hidden, nil)}
	if zero.solve(old, ridge) != nil {
		t.Error("what attends to nothing has a best output")
	}
}

// TestOutputStays: an output that is best already is not replaced.
func TestOutputStays(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	w := latenttest.Forms["shared rotary key"].Weights(rng)
	fit := trainingOn(windows(rng, latent.New[float32](w), 8, 30), w, 2)
	r, err := fit.run(Output)
	if err != nil {
		t.Fatal(err)
	}
	if r.After > r.Before || r.Before > 1e-9 {
		t.Errorf("an exact layer became %+v", r)
	}
}

// TestThinned: windows are chosen from everywhere, as many as asked for, and never one.
func TestThinned(t *testing.T) {
	windows := make([][]int, 20)
	for i := range windows {
		windows[i] = slices.Repeat([]int{i}, 10)
	}
	for tokens, want := range map[int][]int{1000: nil, 200: nil, 50: {0, 4, 8, 12, 16}, 1: {0, 10}} {
		var got []int
		for _, w := range thinned(windows, tokens) {
			got = append(got, w[0])
		}
		if want == nil && len(got) == len(windows) {
			continue
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d tokens: windows %v, want %v", tokens, got, want)
		}
	}
	if n := len(thinned(windows[:1], 100)); n != 1 {
		t.Errorf("%d windows of one", n)
	}
}
