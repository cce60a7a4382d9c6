package main

import (
	"math"
	"testing"
)

// TestDistance holds the distance to sums done by hand, with a token of which the engine says
// nothing, and to its refusals.
func TestDistance(t *testing.T) {
	said := func(p float64) *float64 { return &p }
	ours := [][]float64{{-1, -2}, {-3, -4}}
	g, err := distance(ours, [][]*float64{{said(-1.001), nil}, {said(-3), said(-3.998)}})
	if err != nil {
		t.Fatal(err)
	}
	if g.tokens != 3 || math.Abs(g.mean-0.001) > 1e-12 || math.Abs(g.worst-0.002) > 1e-12 {
		t.Errorf("of %d tokens mean %v and worst %v", g.tokens, g.mean, g.worst)
	}
	a, b := g.perplexities()
	if math.Abs(a-math.Exp(8.0/3)) > 1e-12 || math.Abs(b-math.Exp(7.999/3)) > 1e-12 {
		t.Errorf("perplexities %v and %v", a, b)
	}
	for name, theirs := range map[string][][]*float64{
		"a window is missing": {{nil, said(-2)}},
		"a token is missing":  {{nil}, {said(-3), said(-4)}},
		"nothing is said":     {{nil, nil}, {nil, nil}},
	} {
		if _, err := distance(ours, theirs); err == nil {
			t.Errorf("%s, and there is no error", name)
		}
	}
}

// TestWithin tries both bounds.
func TestWithin(t *testing.T) {
	for _, c := range []struct {
		g    gap
		want bool
	}{
		{gap{mean: meanBound, worst: worstBound}, true},
		{gap{mean: 2 * meanBound, worst: worstBound}, false},
		{gap{mean: meanBound, worst: 2 * worstBound}, false},
		{gap{mean: math.NaN(), worst: meanBound}, false},
	} {
		if got := c.g.within(); got != c.want {
			t.Errorf("%+v: %v", c.g, got)
		}
	}
}

// TestAgreement tries texts that part early, late and never.
func TestAgreement(t *testing.T) {
	for _, c := range []struct {
		a, b []int
		want int
	}{
		{[]int{1, 2, 3}, []int{1, 2, 3}, 3},
		{[]int{1, 2, 3}, []int{1, 5, 3}, 1},
		{[]int{1, 2}, []int{1, 2, 3}, 2},
		{nil, []int{1}, 0},
	} {
		if got := agreement(c.a, c.b); got != c.want {
			t.Errorf("%v and %v: %d", c.a, c.b, got)
		}
	}
}
