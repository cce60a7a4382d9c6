package calib

import (
	"errors"

	"github.com/mha2mla/mha2mla/internal/f32"
)

// Mixture adds the statistics of two texts of one model in shares that do not depend on how
// long the texts are (design §2).
type Mixture struct {
	Main, Other Reader
	Share       float64 // of Other, in (0, 1)
}

// Sums returns the sums of a layer: those of Main as they are, plus those of Other as if
// its text were as long as its share asks. The samples of both are in the result.
func (m Mixture) Sums(layer int) (*Sums, error) {
	sums, err := m.Main.Sums(layer)
	if err != nil {
		return nil, err
	}
	other, err := m.Other.Sums(layer)
	if err != nil {
		return nil, err
	}
	other.scale(m.Share / (1 - m.Share) * sums.Tokens / other.Tokens)
	sums.Add(other)
	sums.Sample = append(append([]f32.Matrix(nil), sums.Sample...), other.Sample...)
	return sums, nil
}

// Unchanged is an error if the statistics of either text were changed since they were
// opened.
func (m Mixture) Unchanged() error { return errors.Join(m.Main.Unchanged(), m.Other.Unchanged()) }

// scale makes the sums those of a text of factor times the tokens that is otherwise alike.
func (s *Sums) scale(factor float64) {
	s.Tokens *= factor
	for _, v := range s.vectors() {
		for i := range v {
			v[i] *= factor
		}
	}
	for _, m := range s.moments() {
		m.ScaleSym(factor, m)
	}
}
