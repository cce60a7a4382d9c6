package mla

import (
	"context"
	"testing"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// gathered is statistics in memory.
type gathered []*calib.Sums

func (g gathered) Sums(n int) (*calib.Sums, error) { return g[n], nil }
func (g gathered) Unchanged() error                { return nil }

// calibrated gathers statistics of a model on random tokens.
func calibrated(t *testing.T, m *family.Model) Input {
	t.Helper()
	windows := [][]int{testmodel.Tokens(60, m.Vocab, 1), testmodel.Tokens(60, m.Vocab, 2)}
	var g gathered
	take := func(_ int, s *calib.Sums) error { g = append(g, s); return nil }
	if err := calib.Collect(context.Background(), m, calib.Text{Kept: windows}, nil, take, nil); err != nil {
		t.Fatal(err)
	}
	return Input{Model: m, Stats: g}
}

// TestTrial: a conversion that loses nothing measures nothing, and the less rank
// the more is lost; trying does not use the layer up.
func TestTrial(t *testing.T) {
	m := testmodel.Llama{KVHeads: 1, Layers: 1}.Open(t)
	a, err := calibrated(t, m).Read(0)
	if err != nil {
		t.Fatal(err)
	}
	trial, err := a.NewTrial()
	if err != nil {
		t.Fatal(err)
	}
	before := 0.0
	for _, rank := range []int{16, 12, 6, 2} {
		loss, err := trial.Loss(Options{Rank: rank, RopeDims: 8, RopeTheta: m.RopeTheta, Select: rope.BySensitivity, Weights: WeightsCalibrated})
		if err != nil {
			t.Fatal(err)
		}
		// values alone are factored: all pairs are in the rotary key
		if lossless := rank >= m.HeadDim; lossless && loss > 1e-9 || !lossless && loss < 1.2*before+1e-3 {
			t.Errorf("rank %d: loss %g after %g", rank, loss, before)
		}
		before = loss
	}
	if free, err := (Input{Model: m}).Read(0); err != nil {
		t.Fatal(err)
	} else if trial, err := free.NewTrial(); trial != nil || err != nil {
		t.Errorf("a trial without a sample: %v, %v", trial, err)
	}
}
