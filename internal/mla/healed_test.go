package mla

import (
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// matrices returns what every head computes with: queries, which may be compressed by
// down, and rows of W_o.
func matrices(t *testing.T, heads Heads, down *mat.Dense, count, hidden int) []*mat.Dense {
	t.Helper()
	output, err := heads.Output(0, hidden)
	if err != nil {
		t.Fatal(err)
	}
	all := []*mat.Dense{output}
	for h := range count {
		content, rotary, err := heads.Query(h)
		if err != nil {
			t.Fatal(err)
		}
		for _, query := range []*mat.Dense{content, rotary} {
			switch {
			case query == nil:
			case down == nil:
				all = append(all, mat.DenseCopyOf(query))
			default:
				var whole mat.Dense
				whole.Mul(query, down)
				all = append(all, &whole)
			}
		}
	}
	return all
}

// checkSame holds matrices against others.
func checkSame(t *testing.T, got, want []*mat.Dense) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d matrices, want %d", len(got), len(want))
	}
	for i := range got {
		checkNear(t, got[i], want[i])
	}
}

// TestReplace: a layer whose own weights take the place of its closed form computes what
// it did, of either kind, with and without content, and with compressed queries.
func TestReplace(t *testing.T) {
	for _, queryRank := range []int{0, 12} {
		m := testmodel.Llama{KVHeads: 2, Layers: 1}.Open(t)
		l := convert(t, m, Options{Rank: 12, RopeDims: 4, RopeTheta: 1000, QueryRank: queryRank})
		through := func() []*mat.Dense {
			all := matrices(t, l.Heads, l.QueryDown, m.Heads, m.Hidden)
			for h := range m.Heads {
				keys, values := l.Up(h)
				for _, up := range []*mat.Dense{keys, values} {
					var whole mat.Dense
					whole.Mul(up, l.Down)
					all = append(all, &whole)
				}
			}
			return all
		}
		before := through()
		w, err := l.Weights()
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Replace(w); err != nil {
			t.Fatal(err)
		}
		checkSame(t, through(), before)
	}
	for _, dims := range []int{4, 8} {
		m := testmodel.Llama{KVHeads: 2, Layers: 1}.Open(t)
		l := convertPerHead(t, m, Options{Rank: 8, RopeDims: dims, Select: rope.High, Weights: WeightsNone})
		before := matrices(t, l.Heads, nil, m.Heads, m.Hidden)
		w, err := l.Weights()
		if err != nil {
			t.Fatal(err)
		}
		l.Replace(w)
		checkSame(t, matrices(t, l.Heads, nil, m.Heads, m.Hidden), before)
	}
}
