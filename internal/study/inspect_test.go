package study_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/rope"
	"github.com/mha2mla/mha2mla/internal/study"
)

func stories(t *testing.T) *family.Model {
	t.Helper()
	return testmodel.Open(t, "../../testdata/stories260k")
}

// choose makes the choices that r asks for.
func choose(t *testing.T, m *family.Model, r plan.Request) *plan.Choices {
	t.Helper()
	c, err := plan.Choose(r, m, plan.Data{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestInspection checks what must hold of any report, on real weights.
func TestInspection(t *testing.T) {
	m := stories(t)
	r, err := study.Inspect(context.Background(), mla.Input{Model: m}, choose(t, m, plan.Request{}), plan.Sizes{Rank: 24, RopeDims: 8, Theta: 10000}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Layers) != 5 {
		t.Fatalf("%d layers", len(r.Layers))
	}
	for _, l := range r.Layers {
		share, energy := 0.0, 0.0
		for i, s := range l.Share {
			share += s
			if !l.Kept[i] {
				t.Errorf("layer %d: pair %d has a slot of its own and is not kept", l.Layer, i)
			}
		}
		for _, v := range l.Spectrum {
			energy += v
		}
		if math.Abs(share-1) > 1e-9 || math.Abs(energy-1) > 1e-9 {
			t.Errorf("layer %d: shares add up to %v and energies to %v", l.Layer, share, energy)
		}
		if !(0 < l.Rank90 && l.Rank90 <= l.Rank95 && l.Rank95 <= l.Rank99 && l.Rank99 <= 64) {
			t.Errorf("layer %d: ranks %d, %d, %d", l.Layer, l.Rank90, l.Rank95, l.Rank99)
		}
		kept := 0.0
		for _, v := range l.Spectrum[:l.Rank90] {
			kept += v
		}
		if kept < 0.9 || kept-l.Spectrum[l.Rank90-1] >= 0.9 {
			t.Errorf("layer %d: rank %d keeps %v", l.Layer, l.Rank90, kept)
		}
		if len(l.Sensitivity) != 8 || len(l.Sensitivity[0]) != 4 || !(0 < l.RotationLoss && l.RotationLoss < 1) {
			t.Errorf("layer %d: %d heads, rotation loss %v", l.Layer, len(l.Sensitivity), l.RotationLoss)
		}
	}
	for i, c := range r.Cache {
		if c.Floats != c.Rank+8 || math.Abs(c.Saving-(1-float64(c.Floats)/64)) > 1e-12 || c.Energy > 1+1e-9 {
			t.Errorf("cache %+v", c)
		}
		if i > 0 && (c.Rank <= r.Cache[i-1].Rank || c.Energy < r.Cache[i-1].Energy) {
			t.Errorf("cache %+v after %+v", c, r.Cache[i-1])
		}
	}
}

// TestFewerSlots: pairs without a slot are told from those with one.
func TestFewerSlots(t *testing.T) {
	m := stories(t)
	r, err := study.Inspect(context.Background(), mla.Input{Model: m}, choose(t, m, plan.Request{Select: rope.High}), plan.Sizes{Rank: 24, RopeDims: 4, Theta: 100}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range r.Layers {
		if got := l.Kept; !got[0] || !got[1] || got[2] || got[3] {
			t.Errorf("layer %d keeps %v", l.Layer, got)
		}
	}
}

func TestInspectionCancelled(t *testing.T) {
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(stop)
	m := stories(t)
	if _, err := study.Inspect(ctx, mla.Input{Model: m}, choose(t, m, plan.Request{}), plan.Sizes{Rank: 8, RopeDims: 4, Theta: 100}, nil); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}
