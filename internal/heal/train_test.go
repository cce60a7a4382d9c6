package heal

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/latent"
	"github.com/mha2mla/mha2mla/internal/latent/latenttest"
)

// windows draws windows of attention inputs and what a layer makes of them.
func windows(rng *rand.Rand, l *latent.Layer[float32], n, tokens int) Sample {
	var s Sample
	for range n {
		x := f32.From[float32](latenttest.Random(rng, tokens, 12, 1))
		s.Inputs = append(s.Inputs, x)
		y := l.Forward(latent.Batch[float32]{X: x, Lengths: []int{tokens}}).Output
		s.Targets = append(s.Targets, y)
	}
	return s
}

// perturbed returns weights near to w.
func perturbed(rng *rand.Rand, w *latent.Weights) *latent.Weights {
	l := latent.New[float32](w)
	for _, t := range l.Tensors() {
		for i := range t.Data {
			t.Data[i] *= float32(1 + 0.3*rng.NormFloat64())
		}
	}
	return l.Weights(w)
}

// trainingOn prepares to heal w on a sample of which the last windows are held out.
func trainingOn(s Sample, w *latent.Weights, held int) *training {
	var lengths []int
	for _, x := range s.Inputs {
		lengths = append(lengths, x.Rows)
	}
	t := newTraining(context.Background(), &s, w, lengths)
	t.train, t.held = t.train[:len(lengths)-held], t.train[len(lengths)-held:]
	return t
}

// TestRecover heals layers of every form until they do what others do from which
// they were made by disturbing their weights.
func TestRecover(t *testing.T) {
	for name, f := range latenttest.Forms {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(3, 4))
			want := f.Weights(rng)
			s := windows(rng, latent.New[float32](want), 16, 30)
			fixed := trainingOn(s, perturbed(rng, want), 4)
			r, err := fixed.run(200)
			if err != nil {
				t.Fatal(err)
			}
			if r.Steps != 200 || !(r.Before > 0.05) || !(r.After < 0.1*r.Before) {
				t.Errorf("healed %+v", r)
			}
			if now, err := fixed.heldError(); err != nil || math.Abs(now-r.After) > 1e-3*r.After {
				t.Errorf("the error is %g, not %g (%v)", now, r.After, err)
			}
		})
	}
}

// TestAuto: as long as it helps is longer than one round where much is to be won, and
// ends.
func TestAuto(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	want := latenttest.Forms["shared rotary key"].Weights(rng)
	s := windows(rng, latent.New[float32](want), 6, 30)
	r, err := trainingOn(s, perturbed(rng, want), 2).run(Auto)
	if err != nil {
		t.Fatal(err)
	}
	if r.Steps <= firstRound || r.Steps >= 2*longest || !(r.After < 0.02*r.Before) {
		t.Errorf("healed %+v", r)
	}
}

// TestNeverWorse: what was learned from some windows and does not hold for others is
// taken back.
func TestNeverWorse(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	w := latenttest.Forms["shared, latent norm"].Weights(rng)
	s := windows(rng, latent.New[float32](w), 6, 20)
	for _, y := range s.Targets[:4] { // those to learn from are of no use
		for i := range y.Data {
			y.Data[i] += 3 * float32(rng.NormFloat64())
		}
	}
	tr := trainingOn(s, w, 2)
	r, err := tr.run(50)
	if err != nil {
		t.Fatal(err)
	}
	if r.Steps != 0 || r.After != r.Before {
		t.Errorf("healed %+v", r)
	}
	if b := r.TakenBack; b == nil || b.Steps != 50 || !(b.Held > r.Before) || b.Learned <= 0 {
		t.Errorf("taken back: %+v", b)
	}
	start := latent.New[float32](w).Tensors()
	for k, tensor := range tr.layer.Tensors() {
		for i, v := range tensor.Data {
			if math.Abs(float64(v-start[k].Data[i])) > 1e-5 {
				t.Fatalf("%s changed", tensor.Name)
			}
		}
	}
}

// TestFit: a form that can do what is asked fits better than one that cannot.
func TestFit(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	able := latenttest.Forms["shared rotary key"].Weights(rng)
	s := windows(rng, latent.New[float32](able), 6, 30)
	near := perturbed(rng, able)
	unable := *near
	unable.Frequencies = [][]float64{slices.Repeat([]float64{0}, len(able.Frequencies[0]))}
	_, good, err := Fit(context.Background(), near, s, 60)
	if err != nil {
		t.Fatal(err)
	}
	_, bad, err := Fit(context.Background(), &unable, s, 60)
	if err != nil {
		t.Fatal(err)
	}
	if !(good < bad) {
		t.Errorf("fits to %g with the right frequencies, %g without", good, bad)
	}
}

// TestInterrupted: healing ends with its context.
func TestInterrupted(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	w := latenttest.Forms["shared rotary key"].Weights(rng)
	tr := trainingOn(windows(rng, latent.New[float32](w), 4, 20), w, 1)
	ctx, cancel := context.WithCancel(context.Background())
	tr.ctx = ctx
	tr.progress = func(step, _ int, _, _ float64) {
		if step == 3 {
			cancel()
		}
	}
	if _, err := tr.run(1000); err != context.Canceled {
		t.Errorf("ended with %v", err)
	}
}
