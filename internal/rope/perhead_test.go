package rope

import (
	"math"
	"slices"
	"testing"
)

// TestRank: every strategy ranks all pairs of every KV head, and those it is
// about first.
func TestRank(t *testing.T) {
	l := newLayer(4, 2, 6, 20, 7)
	freq := Frequencies(10000, 12)
	for _, s := range Strategies() {
		for slots := 1; slots <= 6; slots++ {
			r := s.Rank(&l.Moments, freq, slots)
			for g, kept := range r.Kept(slots) {
				sorted := slices.Sorted(slices.Values(r[g]))
				if !slices.Equal(sorted, []int{0, 1, 2, 3, 4, 5}) || len(kept) != slots || !slices.IsSorted(kept) {
					t.Errorf("%s: KV head %d: ranks %v, kept %v", s, g, r[g], kept)
				}
			}
		}
	}
	for _, c := range []struct {
		strategy Strategy
		slots    int
		want     []int
	}{
		{High, 2, []int{0, 1}}, {Low, 2, []int{4, 5}}, {Uniform, 3, []int{0, 2, 4}}, {Uniform, 2, []int{0, 3}},
	} {
		for g, kept := range c.strategy.Rank(&l.Moments, freq, c.slots).Kept(c.slots) {
			if !slices.Equal(kept, c.want) {
				t.Errorf("%s of KV head %d: %v, want %v", c.strategy, g, kept, c.want)
			}
		}
	}
}

// TestRankByWorth holds the ranks of both measures against their definition.
func TestRankByWorth(t *testing.T) {
	l := newLayer(4, 2, 6, 20, 8)
	freq := Frequencies(10000, 12)
	s := Sensitivity(&l.Moments, freq)
	for strategy, worth := range map[Strategy]func(h, i int) float64{
		BySensitivity: func(h, i int) float64 { return s[h][i] },
		ByNorm:        func(h, i int) float64 { return math.Sqrt(l.Query[h][i]) * math.Sqrt(l.keyEnergy(h/2, i)) },
	} {
		for g, rank := range strategy.Rank(&l.Moments, freq, 3) {
			sum := func(i int) float64 { return worth(2*g, i) + worth(2*g+1, i) }
			for a := range rank {
				for b := range rank {
					if rank[a] < rank[b] && sum(a) < sum(b) {
						t.Errorf("%s: KV head %d: pair %d before %d", strategy, g, a, b)
					}
				}
			}
		}
	}
}

// TestKeepPerHead: what is predicted to be lost falls from everything to nothing
// with the number of pairs.
func TestKeepPerHead(t *testing.T) {
	l := newLayer(4, 2, 6, 20, 9)
	freq := Frequencies(10000, 12)
	ranking := BySensitivity.Rank(&l.Moments, freq, 6)
	before := math.Inf(1)
	for slots := range 7 {
		k := KeepPerHead(&l.Moments, freq, ranking, slots)
		sum := 0.0
		for h, lost := range k.Lost {
			sum += k.ScoreError[h]
			if slots == 0 && math.Abs(lost-1) > 1e-12 || slots == 6 && lost > 1e-12 {
				t.Errorf("%d pairs of head %d lose %g", slots, h, lost)
			}
		}
		if sum >= before {
			t.Errorf("%d pairs: score error %g, before %g", slots, sum, before)
		}
		before = sum
	}
}

// TestRankingShared: heads that disagree are heard alike.
func TestRankingShared(t *testing.T) {
	r := Ranking{{0, 1, 2, 3}, {3, 1, 0, 2}}
	if got := indices(r.Candidates(2)); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("got %v", got)
	}
}
