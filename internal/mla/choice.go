package mla

import (
	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/lowrank"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// Choice is what of a layer's rotation is kept.
type Choice interface {
	// Pairs lists the pairs that keep their rotation, by slot of the rotary key or
	// by KV head.
	Pairs() [][]int
	// Losses returns, per query head, the predicted share of its rotation that is
	// lost, and the variance of the scores' error that this makes.
	Losses() (shares, scoreErrors []float64)

	spectrum(a *Attention, w Weights) ([]float64, error)
}

// Choose makes the choice of the given options.
func (a *Attention) Choose(o Options) (Choice, error) {
	if o.PerHead {
		return headChoice{a.HeadKeys(o), o.Split}, nil
	}
	key, err := a.SharedKey(o)
	return sharedChoice{key}, err
}

// sharedChoice is a rotary key that all heads share.
type sharedChoice struct{ *rope.SharedKey }

func (c sharedChoice) Pairs() [][]int                          { return c.Serves }
func (c sharedChoice) Losses() (shares, scoreErrors []float64) { return c.Lost, c.ScoreError }

func (c sharedChoice) spectrum(a *Attention, w Weights) ([]float64, error) {
	stack := mat.DenseCopyOf(a.Stack)
	a.takeRotation(stack, c.SharedKey)
	return lowrank.Spectrum(a.problem(stack, w, 1))
}

// headChoice is pairs of every KV head's own.
type headChoice struct {
	*rope.HeadKeys
	split bool
}

func (c headChoice) Pairs() [][]int                          { return c.Kept }
func (c headChoice) Losses() (shares, scoreErrors []float64) { return c.Lost, c.ScoreError }

// spectrum interleaves the spectra of keys and values where they are factored
// apart: then the first r add what r/2 of each do.
func (c headChoice) spectrum(a *Attention, w Weights) ([]float64, error) {
	var spectra [][]float64
	longest := 0
	for _, p := range a.contentProblems(c.HeadKeys, w, c.split) {
		s, err := lowrank.Spectrum(p)
		if err != nil {
			return nil, err
		}
		spectra, longest = append(spectra, s), max(longest, len(s))
	}
	var merged []float64
	for k := range longest {
		for _, s := range spectra {
			v := 0.0
			if k < len(s) {
				v = s[k]
			}
			merged = append(merged, v)
		}
	}
	return merged, nil
}
