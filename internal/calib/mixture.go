package calib

import (
	"errors"

	"github.com/mha2mla/mha2mla/internal/f32"
)

// Mixture mixes the statistics of two texts of one model in shares that do not depend on
// how long they are.
type Mixture struct {
	Main, Other Reader
	Share       float64 // of Other, in (0, 1)
}

// Sums returns the sums of a layer: those of Main as they are, and those of Other as if
// its text were as long as its share asks. Both samples are in it.
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

// Unchanged is an error if one of them was changed since it was opened.
func (m Mixture) Unchanged() error { return errors.Join(m.Main.Unchanged(), m.Other.Unchanged()) }

// scale makes the sums those of a text that is longer by a factor and otherwise alike.
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
