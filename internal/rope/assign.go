package rope

import (
	"cmp"
	"math"
	"slices"
)

// slotGroup is a set of pairs and the slots that carry their rotation.
type slotGroup struct{ pairs, slots []int }

// joinSpan is how far a pair may be from a slot, in slot spacings of log
// frequency, and still join it.
const joinSpan = 0.75

// assign gives each slot to the candidate pair of nearest log frequency. It adds
// each pair that no slot was given to to the group of the slot whose frequency
// costs it least, if that slot is near or, though far, better than not rotating
// at all (design §4). Of two slots equally near, the slower one costs less.
//
// Pair, [J], and slot, [n], are frequencies in radians per token; candidates, [J],
// says which pairs may keep their rotation, if they rotate at all; spacing is the distance of slots in
// log frequency.
func assign(p Distances, pair, slot []float64, candidates []bool, spacing float64) []*slotGroup {
	logPair, logSlot := logs(pair), logs(slot)
	var allowed []int
	for i, ok := range candidates {
		if ok && pair[i] > 0 {
			allowed = append(allowed, i)
		}
	}
	if len(allowed) == 0 {
		return nil
	}
	owner := make(map[int]*slotGroup) // by pair
	var groups []*slotGroup
	groupOf := make([]*slotGroup, len(slot))
	for s, at := range logSlot {
		i := nearest(allowed, logPair, at)
		g := owner[i]
		if g == nil {
			g = &slotGroup{pairs: []int{i}}
			owner[i], groups = g, append(groups, g)
		}
		g.slots = append(g.slots, s)
		groupOf[s] = g
	}
	for _, i := range allowed {
		if owner[i] != nil {
			continue
		}
		s, cost := cheapest(p, pair[i], slot)
		near := math.Abs(logSlot[s]-logPair[i]) <= joinSpan*spacing
		if near || cost < p.Mismatch(pair[i], 0) {
			groupOf[s].pairs = append(groupOf[s].pairs, i)
		}
	}
	return groups
}

// cheapest returns the slot at whose frequency a pair of frequency omega is best
// off, and what that costs it.
func cheapest(p Distances, omega float64, slot []float64) (best int, cost float64) {
	cost = math.Inf(1)
	for s, nu := range slot {
		if c := p.Mismatch(omega, nu); c < cost {
			best, cost = s, c
		}
	}
	return best, cost
}

// orderByFit sorts the slots of a group by how near they are to the middle of
// its pairs, so that the best fit takes the leading eigenvector.
func (g *slotGroup) orderByFit(pair, slot []float64) {
	middle := 0.0
	for _, i := range g.pairs {
		middle += math.Log(pair[i]) / float64(len(g.pairs))
	}
	off := func(s int) float64 { return math.Abs(math.Log(slot[s]) - middle) }
	slices.SortStableFunc(g.slots, func(x, y int) int { return cmp.Compare(off(x), off(y)) })
}

// logs returns the natural logarithms of the elements of v.
func logs(v []float64) []float64 {
	l := make([]float64, len(v))
	for i, x := range v {
		l[i] = math.Log(x)
	}
	return l
}

// nearest returns the element of from, an index of values, whose value is nearest
// to at. Of elements that are equally near, but for rounding, it returns the first.
func nearest(from []int, values []float64, at float64) int {
	const rounding = 1e-9
	best := from[0]
	for _, i := range from[1:] {
		if math.Abs(values[i]-at) < math.Abs(values[best]-at)-rounding {
			best = i
		}
	}
	return best
}
