package latent_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/latent"
	"github.com/mha2mla/mha2mla/internal/latent/latenttest"
)

// lesson is a layer with inputs and targets to learn from.
type lesson struct {
	layer  *latent.Layer[float64]
	batch  latent.Batch[float64]
	target f32.General[float64]
}

// newLesson disturbs the weights of a form and asks for the outputs of the undisturbed ones. The
// inputs, [tokens × 12], have directions of very different size.
func newLesson(w *latent.Weights, rng *rand.Rand) *lesson {
	const tokens = 200
	x := latenttest.Random(rng, tokens, 12, 1)
	for i := range tokens {
		for j := range 12 {
			x.Set(i, j, x.At(i, j)*math.Pow(0.5, float64(j)))
		}
	}
	l := &lesson{batch: latent.Batch[float64]{X: f32.From[float64](x), Lengths: []int{tokens}}, layer: latent.New[float64](w)}
	l.target = l.layer.Forward(l.batch).Output
	for _, t := range l.layer.Tensors() {
		for i := range t.Data {
			t.Data[i] *= 1 + 0.3*rng.NormFloat64()
		}
	}
	return l
}

// learn takes steps and returns the loss before each.
func (l *lesson) learn(s *latent.Soap[float64], steps int) (losses []float64) {
	g := l.layer.Twin()
	for range steps {
		p := l.layer.Forward(l.batch)
		descent, sum := loss(p, l.target)
		losses = append(losses, sum)
		p.Backward(descent, g)
		s.Step(g, 1)
	}
	return losses
}

// turned returns w for inputs that are turned by q, an orthogonal matrix.
func turned(w *latent.Weights, q *mat.Dense) *latent.Weights {
	t := *w
	for _, m := range []**mat.Dense{&t.Query, &t.QueryDown, &t.Rotary, &t.DownK, &t.DownV} {
		if *m == nil {
			continue
		}
		if _, columns := (*m).Dims(); columns != 12 {
			continue // reads the compressed query
		}
		product := new(mat.Dense)
		product.Mul(*m, q)
		*m = product
	}
	return &t
}

// TestSoapIsTurned: in other coordinates of its inputs a layer learns the same, but for directions
// in which the first gradients are zero, whose basis is rounding. Adam in the coordinates of the
// tensors does not.
func TestSoapIsTurned(t *testing.T) {
	for name, f := range latenttest.Forms {
		t.Run(name, func(t *testing.T) {
			var q mat.QR
			q.Factorize(latenttest.Random(rand.New(rand.NewPCG(5, 6)), 12, 12, 1))
			var orthogonal mat.Dense
			q.QTo(&orthogonal)
			l := newLesson(f.Weights(rand.New(rand.NewPCG(1, 2))), rand.New(rand.NewPCG(3, 4)))
			other := &lesson{batch: l.batch, target: l.target}
			form := f.Weights(rand.New(rand.NewPCG(1, 2)))
			other.layer = latent.New[float64](turned(l.layer.Weights(form), &orthogonal))
			x := new(mat.Dense)
			x.Mul(l.batch.X.Dense(), &orthogonal)
			other.batch.X = f32.From[float64](x)
			want, got := l.learn(latent.NewSoap(l.layer), 5), other.learn(latent.NewSoap(other.layer), 5)
			for i, v := range want {
				if math.Abs(got[i]-v) > 2e-2*v {
					t.Fatalf("loss after %d steps: %g, in other coordinates %g", i, v, got[i])
				}
			}
		})
	}
}

// TestSoapDescends: the loss of a layer whose inputs have directions of very different size falls
// to a small part.
func TestSoapDescends(t *testing.T) {
	for name, f := range latenttest.Forms {
		t.Run(name, func(t *testing.T) {
			l := newLesson(f.Weights(rand.New(rand.NewPCG(1, 2))), rand.New(rand.NewPCG(3, 4)))
			losses := l.learn(latent.NewSoap(l.layer), 60)
			t.Logf("%.3g → %.3g", losses[0], losses[len(losses)-1])
			if last := losses[len(losses)-1]; !(last < 0.01*losses[0]) {
				t.Errorf("loss %g → %g", losses[0], last)
			}
		})
	}
}

// TestSoapGoesOn: a training that goes on from what another has kept ends as that one does.
func TestSoapGoesOn(t *testing.T) {
	for name, f := range latenttest.Forms {
		t.Run(name, func(t *testing.T) {
			begin := func() *lesson {
				return newLesson(f.Weights(rand.New(rand.NewPCG(1, 2))), rand.New(rand.NewPCG(3, 4)))
			}
			whole, first := begin(), begin()
			s := latent.NewSoap(whole.layer)
			whole.learn(s, 12)
			half := latent.NewSoap(first.layer)
			first.learn(half, 7)
			kept := half.Encode()
			if int64(len(kept)) != half.EncodedBytes() {
				t.Errorf("%d bytes, said %d", len(kept), half.EncodedBytes())
			}
			second := begin()
			rest := latent.NewSoap(second.layer)
			if err := rest.Decode(kept, 7); err != nil {
				t.Fatal(err)
			}
			second.learn(rest, 5)
			if !bytes.Equal(rest.Encode(), s.Encode()) {
				t.Error("another end than in one go")
			}
			if err := rest.Decode(kept[:len(kept)-1], 7); err == nil {
				t.Error("no error where a byte is missing")
			}
		})
	}
}
