package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"strconv"

	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/heal"
	"github.com/mha2mla/mha2mla/internal/latent"
)

// healed holds the sizes of a layer that is healed, and of the text that it is healed on.
type healed struct {
	name               string
	hidden, heads, dim int
	rank, rotary       int
	windows, tokens    int // windows in a step, and tokens in a window
	steps              int
}

// heal compares how long steps of healing take with the same steps in torch.
func (b *bench) heal() error {
	for _, s := range []healed{
		{"5M", 256, 4, 64, 48, 32, 4, 256, 40},
		{"1B", 2048, 32, 64, 256, 32, 1, 2048, 2},
	} {
		weights, sample := s.weights(), s.sample()
		err := duel{
			work: fmt.Sprintf("heal, %d steps, layer of a %s, processors: 1", s.steps, s.name), against: "torch, float32", rounds: min(b.rounds, 3),
			ours: func() (usage, error) {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
				return s.run(weights, sample)
			},
			theirs: peer(b.python, func() (usage, error) {
				args := []string{filepath.Join(b.scripts, "heal.py")}
				for _, n := range []int{s.hidden, s.heads, s.dim, s.rank, s.rotary, s.windows, s.tokens, s.steps} {
					args = append(args, strconv.Itoa(n))
				}
				u, _, err := told(threads(1), b.python, args...)
				return u, err
			}),
		}.fight()
		if err != nil {
			return err
		}
	}
	return nil
}

// run measures the steps. It subtracts the time of one step from that of all steps and one
// more, so that the preparation does not count.
func (s healed) run(w *latent.Weights, sample heal.Sample) (usage, error) {
	fit := func(steps int) (usage, error) {
		return here(func() error { _, _, err := heal.Fit(context.Background(), w, sample, steps); return err })
	}
	one, err := fit(1)
	if err != nil {
		return usage{}, err
	}
	all, err := fit(1 + s.steps)
	return usage{all.cpu - one.cpu, all.wall - one.wall}, err
}

// weights draws the weights of the layer.
func (s healed) weights() *latent.Weights {
	rng := rand.New(rand.NewPCG(1, 2))
	draw := func(rows, cols int) *mat.Dense {
		m := mat.NewDense(rows, cols, nil)
		for i := range m.RawMatrix().Data {
			m.RawMatrix().Data[i] = rng.NormFloat64() / math.Sqrt(float64(cols))
		}
		return m
	}
	var frequencies []float64
	for i := range s.rotary / 2 {
		frequencies = append(frequencies, math.Pow(100, -2*float64(i)/float64(s.rotary)))
	}
	return &latent.Weights{
		Heads: s.heads, KeyHeads: s.heads, Frequencies: [][]float64{frequencies}, Interleaved: true, Scale: 1 / math.Sqrt(float64(s.dim)),
		Query: draw(s.heads*(s.dim+s.rotary), s.hidden), Rotary: draw(s.rotary, s.hidden), DownK: draw(s.rank, s.hidden),
		UpK: draw(s.heads*s.dim, s.rank), UpV: draw(s.heads*s.dim, s.rank), Output: draw(s.hidden, s.heads*s.dim),
	}
}

// sample draws the inputs and the targets that a step learns from.
func (s healed) sample() heal.Sample {
	rng := rand.New(rand.NewPCG(3, 4))
	draw := func() f32.Matrix {
		m := f32.New(s.tokens, s.hidden)
		for i := range m.Data {
			m.Data[i] = float32(rng.NormFloat64())
		}
		return m
	}
	var all heal.Sample
	for range s.windows {
		all.Inputs, all.Targets = append(all.Inputs, draw()), append(all.Targets, draw())
	}
	return all
}
