package family

import "fmt"

// rotaryPart reads how many dimensions of a head rotate. A class whose heads rotate in part
// says in m.part which share of them does where the key is not there; all others rotate whole
// heads.
func (f *fields) rotaryPart(m *Model) error {
	const key = "partial_rotary_factor"
	if m.part == 0 && f.Has(key) && f.number(key, 1) != 1 {
		return &UnsupportedError{fmt.Sprintf("partial rotary embeddings (%q below 1) are not known of this class", key), "choose a model that rotates all of a head"}
	}
	if m.part == 0 || f.err != nil {
		return nil
	}
	part := f.number(key, m.part)
	f.check(part <= 1, "%q is %v and must be at most 1", key, part)
	f.rotate(m, int(float64(m.HeadDim)*part)) // as Transformers rounds it
	m.folded = append(m.folded, key)
	return nil
}

// rotate notes that the first dims dimensions of each head rotate.
func (f *fields) rotate(m *Model, dims int) {
	f.check(dims > 0 && dims%2 == 0 && dims <= m.HeadDim, "%d of %d dimensions of a head rotate: rotary dimensions come in pairs", dims, m.HeadDim)
	if dims < m.HeadDim {
		m.RotaryDims = dims
	}
}

// arrange has the rows of queries and keys read in the order of the canonical decoder, where
// pair i of a head is rows i and i + D/2. The pairs that rotate come first, then those that
// do not, whose rows are paired as they come: they have frequency 0 (design §8). Scores do not
// depend on the order that queries and keys have in common.
func (m *Model) arrange() {
	if m.MLA != nil || m.RotaryDims == 0 && !m.paired {
		return
	}
	order, normed, normedKeys := m.headOrder(), 1, 1
	if m.WideNorms {
		normed, normedKeys = m.Heads, m.KVHeads
	}
	for _, part := range []struct {
		names []string
		heads int
	}{{[]string{QProj, QBias}, m.Heads}, {[]string{KProj, KBias}, m.KVHeads}, {[]string{QNorm}, normed}, {[]string{KNorm}, normedKeys}} {
		for _, name := range part.names {
			s := m.stored[name]
			s.rows = reorder(s.rows, order, part.heads)
			m.setStored(name, s)
		}
	}
}

// headOrder returns, for each row of a canonical head, [D], which row of a stored head it is.
func (m *Model) headOrder() []int {
	D, pairs := m.HeadDim, m.Turning()/2
	order := make([]int, D)
	for i := range pairs {
		order[i], order[i+D/2] = i, i+pairs
		if m.paired {
			order[i], order[i+D/2] = 2*i, 2*i+1
		}
	}
	for i := range D/2 - pairs {
		order[pairs+i], order[D/2+pairs+i] = 2*(pairs+i), 2*(pairs+i)+1
	}
	return order
}

// reorder returns the rows of some heads, which are stored in the given rows, or in the first
// ones if there are none, in another order within each head.
func reorder(where []rows, order []int, heads int) (ordered []rows) {
	if where == nil {
		where = []rows{{0, int64(heads * len(order))}}
	}
	var all []int64
	for _, r := range where {
		for i := range r.n {
			all = append(all, r.from+i)
		}
	}
	for head := range heads {
		for _, row := range order {
			at := all[head*len(order)+row]
			if n := len(ordered) - 1; n >= 0 && ordered[n].from+ordered[n].n == at {
				ordered[n].n++
			} else {
				ordered = append(ordered, rows{at, 1})
			}
		}
	}
	return ordered
}
