package fastblas

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
)

// each runs a test for every kernel of this processor and both precisions.
func each(t *testing.T, single func(*testing.T, *engine[float32]), double func(*testing.T, *engine[float64])) {
	for _, k := range kernels[float32]() {
		t.Run("float32/"+k.name, func(t *testing.T) { single(t, &engine[float32]{kernel: k, workers: new(crew)}) })
	}
	for _, k := range kernels[float64]() {
		t.Run("float64/"+k.name, func(t *testing.T) { double(t, &engine[float64]{kernel: k, workers: new(crew)}) })
	}
}

// shape is what a product is tried on.
type shape struct {
	m, n, k                  int
	aTransposed, bTransposed bool
	part                     part
	alpha, beta              float64
	pad                      int // what strides exceed the width by
}

func (s shape) String() string {
	return fmt.Sprintf("%d×%d×%d %v %v part %d alpha %g beta %g pad %d", s.m, s.n, s.k, s.aTransposed, s.bTransposed, s.part, s.alpha, s.beta, s.pad)
}

// random returns a product of this shape on random numbers, with margins that
// are not numbers.
func random[T float](s shape, rng *rand.Rand) product[T] {
	operand := func(rows, cols int, transposed bool) operand[T] {
		if transposed {
			rows, cols = cols, rows
		}
		return view(matrix[T](rows, cols, s.pad, rng), cols+s.pad, transposed)
	}
	return product[T]{
		m: s.m, n: s.n, k: s.k, alpha: T(s.alpha), beta: T(s.beta),
		a: operand(s.m, s.k, s.aTransposed), b: operand(s.k, s.n, s.bTransposed),
		c: matrix[T](s.m, s.n, s.pad, rng), ldc: s.n + s.pad, part: s.part,
	}
}

func matrix[T float](rows, cols, pad int, rng *rand.Rand) []T {
	data := make([]T, rows*(cols+pad))
	for i := range data {
		data[i] = T(rng.NormFloat64())
		if i%(cols+pad) >= cols {
			data[i] = T(math.NaN())
		}
	}
	return data
}

func (x operand[T]) at(i, j int) float64 { return float64(x.data[i*x.row+j*x.col]) }

// contains reports whether element (i, j) is in the part.
func (p part) contains(i, j int) bool { return block{i, i + 1, j, j + 1}.inside(p) }

// element returns element (i, j) of the result p is to have, summed in twice
// the precision of float64, and the sum of the magnitudes.
func (p product[T]) element(i, j int) (value, magnitude float64) {
	if p.beta != 0 {
		value = float64(p.beta) * float64(p.c[i*p.ldc+j])
		magnitude = math.Abs(value)
	}
	if p.alpha == 0 {
		return value, magnitude
	}
	rest, sum := 0.0, 0.0
	for l := range p.k {
		x, y := p.a.at(i, l), p.b.at(l, j)
		term := x * y
		next := sum + term
		v := next - sum
		rest += (sum - (next - v)) + (term - v) + math.FMA(x, y, -term)
		sum = next
		magnitude += math.Abs(float64(p.alpha) * term)
	}
	if !math.IsNaN(rest) { // it is where a term is infinite
		sum += rest
	}
	return value + float64(p.alpha)*sum, magnitude
}

// check computes p and compares every element, those it must not touch too.
func check[T float](t *testing.T, e *engine[T], p product[T], name any) {
	t.Helper()
	was := p
	was.c = slices.Clone(p.c)
	e.multiply(p)
	epsilon := float64(math.Nextafter32(1, 2) - 1)
	if _, ok := any(p.c).([]float64); ok {
		epsilon = math.Nextafter(1, 2) - 1
	}
	for i := range p.c {
		row, col := i/p.ldc, i%p.ldc
		got := float64(p.c[i])
		if col >= p.n || !p.part.contains(row, col) {
			if !same(got, float64(was.c[i])) {
				t.Fatalf("%v: touched (%d, %d), which is not in the part", name, row, col)
			}
			continue
		}
		want, magnitude := was.element(row, col)
		if !same(got, want) && !(math.Abs(got-want) <= float64(p.k+4)*epsilon*magnitude) {
			t.Fatalf("%v: (%d, %d) is %g, want %g", name, row, col, got, want)
		}
	}
}

func same(x, y float64) bool { return x == y || math.IsNaN(x) && math.IsNaN(y) }

// lengths are around the edges of the tiles and blocks of the kernels.
var lengths = []int{0, 1, 2, 3, 5, 6, 7, 8, 11, 12, 13, 16, 17, 24, 31, 32, 33, 64, 97, 193, 257}

func shapes(rng *rand.Rand, n int) []shape {
	pick := func() int { return lengths[rng.IntN(len(lengths))] }
	factors := []float64{0, 1, -1, 0.7}
	var list []shape
	for i := range n {
		s := shape{
			m: pick(), n: pick(), k: pick(), aTransposed: i&1 != 0, bTransposed: i&2 != 0,
			alpha: factors[rng.IntN(4)], beta: factors[rng.IntN(4)],
			pad: rng.IntN(2) * 5, part: part(i / 4 % 3),
		}
		if s.part != whole {
			s.n = s.m
		}
		list = append(list, s)
	}
	return list
}

func TestProducts(t *testing.T) {
	each(t, tryShapes, tryShapes)
}

func tryShapes[T float](t *testing.T, e *engine[T]) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, s := range shapes(rng, 200) {
		check(t, e, random[T](s, rng), s)
	}
	for _, s := range []shape{
		{m: e.height + 1, n: 9, k: e.depth + 1, alpha: 1},
		{m: 5, n: 70, k: 2*e.depth + 3, alpha: 1, beta: 1, bTransposed: true},
		{m: 3, n: e.width + 1, k: 3, alpha: 1, aTransposed: true},
		{m: 300, n: 300, k: 7, alpha: 2, beta: 1, part: lower},
	} {
		check(t, e, random[T](s, rng), s)
	}
}

// TestNotFinite plants a number that is none in each operand: it reaches what
// depends on it, also through a factor that is zero, and nothing else.
func TestNotFinite(t *testing.T) {
	each(t, tryNotFinite, tryNotFinite)
}

func tryNotFinite[T float](t *testing.T, e *engine[T]) {
	rng := rand.New(rand.NewPCG(2, 2))
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		for _, s := range []shape{
			{m: 15, n: 37, k: 20, alpha: 1, beta: 1},
			{m: 15, n: 37, k: 20, alpha: 1},
			{m: 15, n: 37, k: 20, beta: 0.5},
			{m: 40, n: 40, k: 20, alpha: 1, part: upper},
		} {
			p := random[T](s, rng)
			p.a.data[3*p.a.row+4*p.a.col] = T(bad)
			check(t, e, p, s)
			p = random[T](s, rng)
			p.b.data[3*p.b.row+4*p.b.col] = T(bad)
			clear(p.a.data)
			check(t, e, p, s)
			p = random[T](s, rng)
			p.c[3*p.ldc+4] = T(bad)
			check(t, e, p, s)
			p.beta = T(math.NaN())
			if p.alpha != 0 {
				check(t, e, p, s)
			}
		}
	}
}

// TestProcessors holds results to the last bit over the number of processors.
func TestProcessors(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	each(t, tryProcessors, tryProcessors)
}

func tryProcessors[T float](t *testing.T, e *engine[T]) {
	for _, s := range []shape{
		{m: 131, n: 301, k: 300, alpha: 0.3, beta: 0.1},
		{m: 17, n: 1000, k: 300, alpha: 0.3, bTransposed: true},
		{m: 260, n: 260, k: 300, alpha: 0.3, beta: 0.1, part: upper},
		{m: 260, n: 260, k: 300, alpha: 0.3, part: lower, aTransposed: true},
	} {
		var first []T
		for _, n := range []int{1, 2, 3, 7, 16} {
			runtime.GOMAXPROCS(n)
			p := random[T](s, rand.New(rand.NewPCG(3, 3)))
			e.multiply(p)
			if first == nil {
				first = p.c
			}
			if !slices.Equal(first, p.c) {
				t.Errorf("%v: other results on %d processors", s, n)
			}
		}
		if busy := e.workers.busy.Load(); busy != 0 {
			t.Errorf("%d still counted as busy", busy)
		}
	}
}
