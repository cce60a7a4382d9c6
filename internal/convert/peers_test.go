package convert_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/tokens"
	"github.com/mha2mla/mha2mla/internal/verify"
)

// gathered are statistics in memory.
type gathered []*calib.Sums

func (g gathered) Sums(layer int) (*calib.Sums, error) { return g[layer], nil }
func (g gathered) Unchanged() error                    { return nil }

// calibrated gathers statistics of a model.
func calibrated(t *testing.T, m *family.Model, windows [][]int) gathered {
	t.Helper()
	var g gathered
	take := func(_ int, s *calib.Sums) error { g = append(g, s); return nil }
	if err := calib.Collect(context.Background(), m, calib.Text{Kept: windows}, nil, take, nil); err != nil {
		t.Fatal(err)
	}
	return g
}

// storyWindows returns windows of 128 tokens of the shipped text.
func storyWindows(t *testing.T, m *family.Model, from, to int) [][]int {
	t.Helper()
	const length = 128
	sequences, err := tokens.Read(t.Context(), filepath.Join(stories, "tinystories.ids.json"), m.Vocab)
	if err != nil {
		t.Fatal(err)
	}
	flat := slices.Concat(sequences...)
	var windows [][]int
	for i := from; i < to; i++ {
		windows = append(windows, flat[i*length:(i+1)*length])
	}
	return windows
}

// TestTransMLA holds the method against an implementation of its own that follows
// the authors' code: the peer of a comparison must not be worse than it is. Folding
// costs more than it saves on heads of four pairs.
func TestTransMLA(t *testing.T) {
	m := testmodel.Open(t, stories)
	stats := calibrated(t, m, storyWindows(t, m, 0, 48))
	for _, c := range []struct {
		o    plan.Request
		want float64
	}{
		{plan.Request{Cache: 32, RopeDims: 8}, 0.734},
		{plan.Request{Cache: 20, RopeDims: 8}, 1.41},
		{plan.Request{Cache: 32, RopeDims: 8, FreqFold: 2}, 2.53},
		{plan.Request{Cache: 32, RopeDims: 4}, 2.57},
	} {
		c.o.Method = mla.MethodTransMLA
		out := filepath.Join(t.TempDir(), "out")
		p, err := convertTo(m, out, c.o, convert.Options{Stats: stats})
		if err != nil {
			t.Fatal(err)
		}
		r, err := verify.Compare(context.Background(), m, testmodel.Open(t, out), storyWindows(t, m, 160, 192), nil)
		if err != nil {
			t.Fatal(err)
		}
		if r.KL > 1.01*c.want || r.KL < 0.99*c.want {
			t.Errorf("%+v: KL %.4g, want %.4g", p.Maths, r.KL, c.want)
		}
	}
}

// TestTransMLACard: the command on the model card makes the same weights again.
func TestTransMLACard(t *testing.T) {
	m := testmodel.Llama{KVHeads: 2}.Open(t)
	for _, o := range []plan.Request{{Cache: 12}, {Rank: 8, RopeDims: 8, FreqFold: 2}} {
		o.Method = mla.MethodTransMLA
		out, again := filepath.Join(t.TempDir(), "out"), filepath.Join(t.TempDir(), "out")
		p, err := convertTo(m, out, o, convert.Options{})
		if err != nil {
			t.Fatal(err)
		}
		words := fmt.Sprintf("--kv-lora-rank %d --rope-dims %d --method transmla", p.Maths.Rank, p.Maths.RopeDims)
		if o.FreqFold > 0 {
			words += " --freq-fold 2"
		}
		if card := files(t, out)[plan.CardFile]; !strings.Contains(card, words+" --latent-norm linear IN OUT") {
			t.Errorf("no %s on the card:\n%s", words, card)
		}
		same := plan.Request{Method: o.Method, Rank: p.Maths.Rank, RopeDims: p.Maths.RopeDims, FreqFold: o.FreqFold}
		if _, err := convertTo(m, again, same, convert.Options{}); err != nil {
			t.Fatal(err)
		}
		if files(t, out)[checkpoint.SingleFile] != files(t, again)[checkpoint.SingleFile] {
			t.Errorf("%+v: other weights", o)
		}
	}
}
