package linalg

import "math"

// secular is the equation
//
//	f(λ) = 1 + Σ weight_i / (pole_i − λ) = 0
//
// with ascending, distinct poles and positive weights, whose roots are the
// eigenvalues of diag(pole) + u·uᵀ, u_i² = weight_i. Root j lies between poles j and
// j+1, the last one at most Σ weight above the last pole.
type secular struct {
	pole, weight []float64
	total        float64 // Σ weight
}

// secularRoot is a root λ = pole[origin] + offset. Its distance from every pole is
// known to full relative accuracy, which its value is not: the orthogonality of
// the eigenvectors rests on that.
type secularRoot struct {
	origin int
	offset float64
}

// unitRoundoff is LAPACK's eps: half the distance from 1 to the next number.
const unitRoundoff = 0x1p-53

// newSecular returns the equation with the given poles and weights.
func newSecular(pole, weight []float64) *secular {
	s := &secular{pole: pole, weight: weight}
	for _, w := range weight {
		s.total += w
	}
	return s
}

// distance returns pole i − λ.
func (s *secular) distance(i int, r secularRoot) float64 {
	return (s.pole[i] - s.pole[r.origin]) - r.offset
}

// value returns λ.
func (s *secular) value(r secularRoot) float64 { return s.pole[r.origin] + r.offset }

// secularValue is f and the two monotone halves of it: the sums over the poles up
// to, and those beyond, a given one, with their derivatives.
type secularValue struct {
	f, below, above   float64
	dbelow, dabove    float64
	distance, further float64 // of the last pole before the split from λ, and of the first one behind it
}

// at evaluates f, split behind pole split.
func (s *secular) at(r secularRoot, split int) secularValue {
	var v secularValue
	v.below, v.dbelow = s.sum(r, 0, split+1)
	v.above, v.dabove = s.sum(r, split+1, len(s.pole))
	v.f = 1 + v.below + v.above
	v.distance, v.further = s.distance(split, r), s.distance(split+1, r)
	return v
}

// sum returns the terms from … to−1 of f and of its derivative.
func (s *secular) sum(r secularRoot, from, to int) (sum, derivative float64) {
	origin := s.pole[r.origin]
	weight := s.weight[from:to]
	for i, p := range s.pole[from:to] {
		inverse := 1 / ((p - origin) - r.offset)
		term := weight[i] * inverse
		sum += term
		derivative += term * inverse
	}
	return sum, derivative
}

// root returns root j. It interpolates f by a constant and the two nearest poles, with
// weights that match f and f' (the "middle way": Li, LAPACK Working Note 89). The root
// stays in a bracket that halves at least every third step.
func (s *secular) root(j int) secularRoot {
	n := len(s.pole)
	if n == 1 {
		return secularRoot{0, s.weight[0]}
	}
	r, low, high := s.begin(j)
	last := j == n-1
	split := min(j, n-2)
	width, slow := high-low, 0
	for range 200 {
		v := s.at(r, split)
		noise := 8*(1+math.Abs(v.below)+math.Abs(v.above)) + math.Abs(r.offset)*(v.dbelow+v.dabove)
		if !(math.Abs(v.f) > unitRoundoff*noise) {
			break
		}
		if v.f < 0 {
			low = r.offset
		} else {
			high = r.offset
		}
		next := r.offset + v.step(last)
		slow++
		if slow >= 3 {
			slow = 0
			if high-low > width/2 {
				next = low + (high-low)/2
			}
			width = high - low
		}
		if !(next > low && next < high) { // NaN included
			next = low + (high-low)/2
		}
		if next == low || next == high || math.Abs(next-r.offset) <= unitRoundoff*math.Abs(next) {
			break
		}
		r.offset = next
	}
	return r
}

// step returns the distance from the current point to the root of the
// interpolation.
func (v secularValue) step(last bool) float64 {
	derivative := v.dbelow + v.dabove
	c := v.f - v.distance*v.dbelow - v.further*v.dabove
	a := (v.distance+v.further)*v.f - v.distance*v.further*derivative
	b := v.distance * v.further * v.f
	var step float64
	if last {
		step = upperRoot(math.Abs(c), a, b)
	} else {
		step = lowerRoot(c, a, b)
	}
	if v.f*step >= 0 { // f rises, so rounding has turned the step around
		step = -v.f / derivative
	}
	return step
}

// begin returns a first guess of root j, measured from the nearer pole, and the
// bracket of its offset.
func (s *secular) begin(j int) (r secularRoot, low, high float64) {
	n := len(s.pole)
	left := min(j, n-2) // the left one of the two poles whose terms are kept exact
	p, q := s.weight[left], s.weight[left+1]
	gap := s.pole[left+1] - s.pole[left]
	if j == n-1 {
		r = secularRoot{j, s.total / 2}
	} else {
		r = secularRoot{j, gap / 2}
	}
	lower, _ := s.sum(r, 0, left)
	upper, _ := s.sum(r, left+2, n)
	c := 1 + lower + upper
	f := c + p/s.distance(left, r) + q/s.distance(left+1, r)
	switch {
	case j == n-1:
		low, high = 0, s.total
		if f <= 0 {
			low = r.offset
		} else {
			high = r.offset
		}
		r.offset = upperRoot(c, p+q-c*gap, -q*gap)
	case f >= 0:
		low, high = 0, gap/2
		r.offset = lowerRoot(c, c*gap+p+q, p*gap)
	default:
		r.origin = j + 1
		low, high = -gap/2, 0
		r.offset = lowerRoot(c, p+q-c*gap, -q*gap)
	}
	if !(r.offset > low && r.offset < high) {
		r.offset = low + (high-low)/2
	}
	return r, low, high
}

// lowerRoot returns (a − √(a²−4bc)) / 2c, a root of c·x² − a·x + b, without
// cancellation.
func lowerRoot(c, a, b float64) float64 {
	root := math.Sqrt(math.Abs(a*a - 4*b*c))
	if a <= 0 {
		return (a - root) / (2 * c)
	}
	return 2 * b / (a + root)
}

// upperRoot returns (a + √(a²−4bc)) / 2c, the other root.
func upperRoot(c, a, b float64) float64 {
	root := math.Sqrt(math.Abs(a*a - 4*b*c))
	if a >= 0 {
		return (a + root) / (2 * c)
	}
	return 2 * b / (a - root)
}
