package mla

import (
	"context"
	"testing"

	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// TestFitTrial: a conversion that loses nothing is measured to lose nothing, so the
// source is run as it should be; the less rank the more is left; and the layer is not
// used up.
func TestFitTrial(t *testing.T) {
	m := testmodel.Llama{KVHeads: 1, Layers: 1}.Open(t)
	a, err := calibrated(t, m).Read(0)
	if err != nil {
		t.Fatal(err)
	}
	trial, err := a.NewFitTrial()
	if err != nil {
		t.Fatal(err)
	}
	before := 0.0
	for _, rank := range []int{8, 5, 2} {
		loss, err := trial.Loss(context.Background(), Options{Rank: rank, RopeDims: 8, RopeTheta: m.RopeTheta, Select: rope.BySensitivity, Weights: WeightsCalibrated}, 10)
		if err != nil {
			t.Fatal(err)
		}
		// values alone are factored: all pairs are in the rotary key
		if lossless := rank >= m.HeadDim; lossless && loss > 1e-9 || !lossless && loss < 1.2*before+1e-3 {
			t.Errorf("rank %d: loss %g after %g", rank, loss, before)
		}
		before = loss
	}
}
