package mla

import (
	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/lowrank"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// Choice says which part of a layer's rotation is kept (design §4).
type Choice interface {
	// Pairs lists the pairs that keep their rotation, by slot of the rotary key or
	// by KV head.
	Pairs() [][]int
	// Losses returns, per query head, [H], the predicted share of its rotation that is
	// lost, and the variance of the error of √D·score that this makes.
	Losses() (shares, scoreErrors []float64)

	// spectrum returns the spectrum of the stack without what rotates, see Spectrum.
	spectrum(a *Attention, w Weights) ([]float64, error)
}

// Choose chooses the rotary key, or those of the KV heads, for the given options. Errors
// are those of rope.Share and rope.Fold.
func (a *Attention) Choose(o Options) (Choice, error) {
	if o.PerHead {
		return headChoice{a.HeadKeys(o), o.Split}, nil
	}
	key, err := a.SharedKey(o)
	return sharedChoice{key}, err
}

// sharedChoice is a rotary key that all heads share.
type sharedChoice struct{ *rope.SharedKey }

// Pairs lists the pairs of each slot.
func (c sharedChoice) Pairs() [][]int { return c.Serves }

// Losses returns the predictions of the key.
func (c sharedChoice) Losses() (shares, scoreErrors []float64) { return c.Lost, c.ScoreError }

// spectrum takes what the key carries out of a copy of the stack.
func (c sharedChoice) spectrum(a *Attention, w Weights) ([]float64, error) {
	stack := mat.DenseCopyOf(a.Stack)
	a.takeRotation(stack, c.SharedKey)
	return lowrank.Spectrum(a.problem(stack, w, 1))
}

// headChoice is a rotary key for every KV head.
type headChoice struct {
	*rope.HeadKeys
	split bool
}

// Pairs lists the pairs of each KV head.
func (c headChoice) Pairs() [][]int { return c.Kept }

// Losses returns the predictions of the keys.
func (c headChoice) Losses() (shares, scoreErrors []float64) { return c.Lost, c.ScoreError }

// spectrum interleaves the spectra of keys and values where they are factored apart. The
// first r elements then hold the first r/2 of each, as a conversion to rank r does.
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
