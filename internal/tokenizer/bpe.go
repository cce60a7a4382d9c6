package tokenizer

// symbol is a piece of a word. It is a character at first, and grows when it is merged with
// its neighbours.
type symbol struct {
	id         int32
	start, end int32 // first byte in the word and the byte after the last; equal once another symbol has taken this one in
	prev, next int32 // indexes of the neighbours; -1 if there is none
	frozen     bool  // the symbol is never merged
}

func (s *symbol) size() int32 { return s.end - s.start }

// candidate is a pair of neighbours that may be merged.
type candidate struct {
	key  uint64 // the rank of the merge, then the place of the left symbol
	id   int32  // the token that the pair becomes
	size int32  // length in bytes of both symbols
}

func (c candidate) left() int32 { return int32(uint32(c.key)) }

// merger carries out merges: those of the lowest rank first, and of equal ranks the leftmost
// first. It uses its memory again for the next word.
type merger struct {
	symbols []symbol
	heap    []candidate
}

// add appends a symbol of size bytes.
func (m *merger) add(id int32, size int, frozen bool) {
	s := symbol{id: id, prev: int32(len(m.symbols)) - 1, next: -1, frozen: frozen}
	if s.prev >= 0 {
		last := &m.symbols[s.prev]
		last.next = int32(len(m.symbols))
		s.start = last.end
	}
	s.end = s.start + int32(size)
	m.symbols = append(m.symbols, s)
}

// merge merges symbols until no pair merges any more. The function rank says which token a
// pair becomes and how early; it returns false if the pair does not merge.
func (m *merger) merge(rank func(left, right *symbol) (rank, id int32, ok bool)) {
	m.heap = m.heap[:0]
	consider := func(left int32) {
		if left < 0 || m.symbols[left].next < 0 {
			return
		}
		l := &m.symbols[left]
		r := &m.symbols[l.next]
		if l.frozen || r.frozen {
			return
		}
		if rank, id, ok := rank(l, r); ok {
			m.push(candidate{uint64(rank)<<32 | uint64(uint32(left)), id, l.size() + r.size()})
		}
	}
	for i := range m.symbols {
		consider(int32(i))
	}
	for len(m.heap) > 0 {
		best := m.pop()
		left := best.left()
		l := &m.symbols[left]
		if l.size() == 0 || l.next < 0 {
			continue // the left symbol was taken in, or is the last
		}
		r := &m.symbols[l.next]
		if l.size()+r.size() != best.size {
			continue // one of the two has grown since
		}
		l.id, l.end, l.next = best.id, r.end, r.next
		r.end = r.start
		if l.next >= 0 {
			m.symbols[l.next].prev = left
		}
		consider(l.prev)
		consider(left)
	}
}

// push adds c to the heap.
func (m *merger) push(c candidate) {
	h := append(m.heap, c)
	at := len(h) - 1
	for at > 0 {
		up := (at - 1) / 2
		if h[up].key <= c.key {
			break
		}
		h[at] = h[up]
		at = up
	}
	h[at] = c
	m.heap = h
}

// pop removes the candidate with the smallest key.
func (m *merger) pop() candidate {
	h := m.heap
	best, last := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	m.heap = h
	for at := 0; len(h) > 0; {
		down := 2*at + 1
		if down+1 < len(h) && h[down+1].key < h[down].key {
			down++
		}
		if down >= len(h) || last.key <= h[down].key {
			h[at] = last
			break
		}
		h[at] = h[down]
		at = down
	}
	return best
}
