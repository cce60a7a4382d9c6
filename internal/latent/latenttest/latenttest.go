package latenttest

import (
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/latent"
)

// Random returns a matrix of normal numbers of the given deviation.
func Random(rng *rand.Rand, rows, cols int, deviation float64) *mat.Dense {
	m := mat.NewDense(rows, cols, nil)
	for i := range rows {
		for j := range cols {
			m.Set(i, j, deviation*rng.NormFloat64())
		}
	}
	return m
}

// Form is a form of layer to test.
type Form struct {
	keyHeads, rotaryKeys   int
	content, rotary, value int
	split, norm, compress  bool
	queryNorm              bool
	interleaved            bool
}

// Forms are those of both layouts.
var Forms = map[string]Form{
	"shared rotary key":           {keyHeads: 4, rotaryKeys: 1, content: 5, rotary: 4, value: 3, interleaved: true},
	"shared, latent norm":         {keyHeads: 4, rotaryKeys: 1, content: 5, rotary: 4, value: 3, norm: true, interleaved: true},
	"shared, compressed query":    {keyHeads: 4, rotaryKeys: 1, content: 5, rotary: 4, value: 3, compress: true, interleaved: true},
	"shared, query norm":          {keyHeads: 4, rotaryKeys: 1, content: 5, rotary: 4, value: 3, queryNorm: true, interleaved: true},
	"shared, all":                 {keyHeads: 4, rotaryKeys: 1, content: 4, rotary: 6, value: 5, compress: true, norm: true, interleaved: true},
	"rotary key per KV head":      {keyHeads: 2, rotaryKeys: 2, content: 5, rotary: 4, value: 9},
	"per KV head, split":          {keyHeads: 2, rotaryKeys: 2, content: 6, rotary: 2, value: 8, split: true},
	"per KV head, all rotary":     {keyHeads: 2, rotaryKeys: 2, content: 0, rotary: 8, value: 8},
	"per KV head, all, and split": {keyHeads: 2, rotaryKeys: 2, content: 0, rotary: 8, value: 8, split: true},
}

// Weights draws a layer of hidden size 12 with four heads and a latent of 7.
func (f Form) Weights(rng *rand.Rand) *latent.Weights {
	const d, heads, rank, queryRank = 12, 4, 7, 10
	w := &latent.Weights{
		Heads: heads, KeyHeads: f.keyHeads, Interleaved: f.interleaved, Scale: 0.4,
		Rotary: Random(rng, f.rotaryKeys*f.rotary, d, 0.4),
		DownK:  Random(rng, rank, d, 0.4),
		UpV:    Random(rng, f.keyHeads*f.value, rank, 0.5), Output: Random(rng, d, heads*f.value, 0.4),
	}
	columns := d
	if f.compress {
		columns, w.QueryDown = queryRank, Random(rng, queryRank, d, 0.4)
	}
	if f.queryNorm { // heads of 3 dimensions
		columns, w.QueryDown = 3, Random(rng, heads*3, d, 0.4)
		w.QueryNorm, w.QueryEps = Random(rng, 1, heads*3, 1).RawRowView(0), 0.1
	}
	w.Query = Random(rng, heads*(f.content+f.rotary), columns, 0.5)
	if f.content > 0 {
		w.UpK = Random(rng, f.keyHeads*f.content, rank, 0.5)
	}
	if f.split {
		w.DownV = Random(rng, rank, d, 0.4)
	}
	if f.norm {
		w.Norm, w.NormEps = Random(rng, 1, rank, 1).RawRowView(0), 0.1
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
