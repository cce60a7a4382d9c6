package heal

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/f32"
)

// random returns a matrix of normal numbers of the given deviation.
func random(rng *rand.Rand, rows, cols int, deviation float64) *mat.Dense {
	m := mat.NewDense(rows, cols, nil)
	for i := range rows {
		for j := range cols {
			m.Set(i, j, deviation*rng.NormFloat64())
		}
	}
	return m
}

// form is a form of layer to test.
type form struct {
	keyHeads, rotaryKeys   int
	content, rotary, value int
	split, norm, compress  bool
	interleaved            bool
}

// forms are those of both layouts.
var forms = map[string]form{
	"shared rotary key":           {keyHeads: 4, rotaryKeys: 1, content: 5, rotary: 4, value: 3, interleaved: true},
	"shared, latent norm":         {keyHeads: 4, rotaryKeys: 1, content: 5, rotary: 4, value: 3, norm: true, interleaved: true},
	"shared, compressed query":    {keyHeads: 4, rotaryKeys: 1, content: 5, rotary: 4, value: 3, compress: true, interleaved: true},
	"shared, all":                 {keyHeads: 4, rotaryKeys: 1, content: 4, rotary: 6, value: 5, compress: true, norm: true, interleaved: true},
	"rotary key per KV head":      {keyHeads: 2, rotaryKeys: 2, content: 5, rotary: 4, value: 9},
	"per KV head, split":          {keyHeads: 2, rotaryKeys: 2, content: 6, rotary: 2, value: 8, split: true},
	"per KV head, all rotary":     {keyHeads: 2, rotaryKeys: 2, content: 0, rotary: 8, value: 8},
	"per KV head, all, and split": {keyHeads: 2, rotaryKeys: 2, content: 0, rotary: 8, value: 8, split: true},
}

// weights draws a layer of hidden size 12 with four heads and a latent of 7.
func (f form) weights(rng *rand.Rand) *Weights {
	const d, heads, rank, queryRank = 12, 4, 7, 10
	w := &Weights{
		Heads: heads, KeyHeads: f.keyHeads, Interleaved: f.interleaved, Scale: 0.4,
		Rotary: random(rng, f.rotaryKeys*f.rotary, d, 0.4),
		DownK:  random(rng, rank, d, 0.4),
		UpV:    random(rng, f.keyHeads*f.value, rank, 0.5), Output: random(rng, d, heads*f.value, 0.4),
	}
	columns := d
	if f.compress {
		columns, w.QueryDown = queryRank, random(rng, queryRank, d, 0.4)
	}
	w.Query = random(rng, heads*(f.content+f.rotary), columns, 0.5)
	if f.content > 0 {
		w.UpK = random(rng, f.keyHeads*f.content, rank, 0.5)
	}
	if f.split {
		w.DownV = random(rng, rank, d, 0.4)
	}
	if f.norm {
		w.Norm, w.NormEps = random(rng, 1, rank, 1).RawRowView(0), 0.1
	}
	for k := range f.rotaryKeys {
		var frequencies []float64
		for i := range f.rotary / 2 {
			frequencies = append(frequencies, 0.9/float64(1+i+k))
		}
		w.Frequencies = append(w.Frequencies, frequencies)
	}
	return w
}

// TestGradients compares the gradient of every tensor with central differences at
// numbers spread over it, on windows of different lengths of which one is longer than
// a block of queries.
func TestGradients(t *testing.T) {
	for name, f := range forms {
		t.Run(name, func(t *testing.T) {
			const numbers = 10 // of a tensor
			rng := rand.New(rand.NewPCG(1, 2))
			l := newLayer[float64](f.weights(rng))
			b := batch[float64]{lengths: []int{3, f32.QueriesAtOnce + 5, 1}}
			b.x = f32.From[float64](random(rng, f32.QueriesAtOnce+9, 12, 1))
			b.target = f32.From[float64](random(rng, f32.QueriesAtOnce+9, 12, 1))
			g := l.twin()
			p := l.forward(b)
			descent, _ := p.loss(1)
			p.backward(descent, g)
			for which, tensor := range l.tensors() {
				off, size := 0.0, 0.0
				for k := range min(numbers, len(tensor.Data)) {
					i := (k*len(tensor.Data) + len(tensor.Data)/2) / numbers
					if len(tensor.Data) < numbers {
						i = k
					}
					const h = 1e-5
					before := tensor.Data[i]
					var loss [2]float64
					for side, step := range []float64{h, -h} {
						tensor.Data[i] = before + step
						_, loss[side] = l.forward(b).loss(1)
					}
					tensor.Data[i] = before
					want := (loss[0] - loss[1]) / (2 * h)
					off = math.Hypot(off, g.tensors()[which].Data[i]-want)
					size = math.Hypot(size, want)
				}
				if !(off <= 1e-7*size) && !(size == 0 && off == 0) {
					t.Errorf("%s: gradient of length %.3g is off by %.3g", tensor.name, size, off)
				}
			}
		})
	}
}
