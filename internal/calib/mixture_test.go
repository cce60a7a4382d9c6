package calib

import (
	"math"
	"reflect"
	"testing"

	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// held reads nothing: it has the sums of a layer.
type held struct{ sums func() *Sums }

func (h held) Sums(int) (*Sums, error) { return h.sums(), nil }
func (h held) Unchanged() error        { return nil }

// TestMixture: in a mixture every mean over tokens is that of the two texts in its shares,
// however long they are.
func TestMixture(t *testing.T) {
	m := testmodel.Llama{KVHeads: 2}.Open(t)
	sumsOf := func(n int, seed uint64) func() *Sums {
		return func() *Sums {
			windows := tokens.Windows{testmodel.Tokens(n, m.Vocab, seed)}
			var first *Sums
			err := Collect(t.Context(), m, Text{Kept: windows}, nil, func(layer int, sums *Sums) error {
				if layer == 0 {
					first = sums
				}
				return nil
			}, nil)
			if err != nil {
				t.Fatal(err)
			}
			return first
		}
	}
	a, b := sumsOf(40, 1), sumsOf(15, 2)
	const share = 0.3
	got, err := Mixture{held{a}, held{b}, share}.Sums(0)
	if err != nil {
		t.Fatal(err)
	}
	near := func(name string, got, x, y float64) {
		t.Helper()
		if want := (1-share)*x + share*y; math.Abs(got-want) > 1e-9*(1+math.Abs(want)) {
			t.Errorf("%s is %g, want %g", name, got, want)
		}
	}
	x, y := a(), b()
	near("C", got.Input.At(1, 2)/got.Tokens, x.Input.At(1, 2)/x.Tokens, y.Input.At(1, 2)/y.Tokens)
	near("attended C", got.Attended.At(0, 3)/got.Tokens, x.Attended.At(0, 3)/x.Tokens, y.Attended.At(0, 3)/y.Tokens)
	y.lengthen(len(x.Distances))
	for name, v := range got.vectors() {
		p, q := x.vectors()[name], y.vectors()[name]
		for i := range v {
			near(name, v[i]/got.Tokens, p[i]/x.Tokens, q[i]/y.Tokens)
		}
	}
	if len(got.Sample) != len(x.Sample)+len(y.Sample) {
		t.Errorf("%d windows are sampled", len(got.Sample))
	}
}

// TestHold: a tenth is held out, nothing twice, and nothing is lost.
func TestHold(t *testing.T) {
	for name, c := range map[string]struct {
		lengths    []int
		kept, held int // windows
		out        int // tokens
	}{
		"many":          {[]int{5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5}, 11, 1, 5},
		"few":           {[]int{100, 100, 60}, 3, 1, 26},
		"a short end":   {[]int{100, 100, 10}, 3, 1, 21},
		"one":           {[]int{100}, 1, 1, 10},
		"next to none":  {[]int{12}, 1, 0, 0},
		"two tokens":    {[]int{2}, 1, 0, 0},
		"a single tail": {[]int{100, 2}, 2, 1, 10},
	} {
		var windows tokens.Windows
		next := 0
		for _, n := range c.lengths {
			w := make([]int, n)
			for i := range w {
				w[i] = next
				next++
			}
			windows = append(windows, w)
		}
		text := Hold(windows)
		kept, held := text.Kept, text.Held
		seen := make(map[int]bool)
		out := 0
		for i, w := range append(append([][]int(nil), kept...), held...) {
			for _, id := range w {
				seen[id] = true
			}
			if i >= len(kept) {
				out += len(w)
			}
		}
		if len(kept) != c.kept || len(held) != c.held || out != c.out || len(seen) != next {
			t.Errorf("%s: %d windows kept and %d held with %d tokens, %d tokens of %d", name, len(kept), len(held), out, len(seen), next)
		}
	}
}

// TestHeldSample: what conversions are tried on is not in the sums, unless nothing is held
// out; and it is the same whether the rest is.
func TestHeldSample(t *testing.T) {
	m := testmodel.Llama{KVHeads: 2}.Open(t)
	first, second := testmodel.Tokens(40, m.Vocab, 1), testmodel.Tokens(30, m.Vocab, 2)
	sums := func(text Text) *Sums {
		var last *Sums
		err := Collect(t.Context(), m, text, nil, func(_ int, sums *Sums) error {
			last = sums
			return nil
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return last
	}
	alone, both := sums(Text{Kept: [][]int{first}}), sums(Text{Kept: [][]int{first}, Held: [][]int{second, second[:20]}})
	tried := sums(Text{Kept: [][]int{second}}).Sample
	if !reflect.DeepEqual(both.Sample, tried) {
		t.Errorf("the sample is %d windows of %d tokens, not the held one of 30", len(both.Sample), both.Sample[0].Rows)
	}
	both.Sample = alone.Sample
	if !reflect.DeepEqual(both, alone) {
		t.Error("the sums are not those of what is kept alone")
	}
}

var _ Reader = Mixture{}
