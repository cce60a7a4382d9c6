package lowrank

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/linalg"
)

func random(r, c int, rng *rand.Rand) *mat.Dense {
	m := mat.NewDense(r, c, nil)
	for i := range r {
		for j := range c {
			m.Set(i, j, rng.NormFloat64()*math.Pow(0.9, float64(j)))
		}
	}
	return m
}

// blocks returns random positive definite blocks for n rows.
func blocks(n, b int, rng *rand.Rand) []*mat.SymDense {
	var all []*mat.SymDense
	for range n / b {
		s := mat.NewSymDense(b, nil)
		s.SymOuterK(math.Exp(rng.NormFloat64()), random(b, b+2, rng))
		all = append(all, s)
	}
	return all
}

// diagonal returns a random diagonal metric.
func diagonal(d int, rng *rand.Rand) linalg.Metric {
	c := make([]float64, d)
	for i := range c {
		c[i] = math.Exp(rng.NormFloat64())
	}
	return linalg.DiagonalMetric(c)
}

// full returns a random metric that is not diagonal.
func full(d int, rng *rand.Rand) linalg.Metric {
	c := mat.NewSymDense(d, nil)
	c.SymOuterK(1, random(d, d+3, rng))
	for i := range d {
		c.SetSym(i, i, c.At(i, i)+0.1)
	}
	m, err := linalg.NewMetric(c)
	if err != nil {
		panic(err)
	}
	return m
}

// loss is ‖A (M − up·down) C^{1/2}‖², straight from its definition.
func loss(m *mat.Dense, p Problem, f *Factors) float64 {
	var diff mat.Dense
	diff.Mul(f.Up, f.Down)
	diff.Sub(m, &diff)
	_, d := m.Dims()
	p.Right.Apply(&diff)
	if p.Left == nil {
		norm := mat.Norm(&diff, 2)
		return norm * norm
	}
	sum, at := 0.0, 0
	for _, block := range p.Left {
		part := diff.Slice(at, at+block.SymmetricDim(), 0, d)
		at += block.SymmetricDim()
		var weighted, square mat.Dense
		weighted.Mul(block, part)
		square.Mul(part.T(), &weighted)
		sum += mat.Trace(&square)
	}
	return sum
}

// problems crosses shapes with measures.
func problems(t *testing.T, f func(t *testing.T, m *mat.Dense, p Problem)) {
	rng := rand.New(rand.NewPCG(4, 4))
	for _, shape := range [][2]int{{8, 20}, {24, 12}, {12, 12}} {
		n, d := shape[0], shape[1]
		m := random(n, d, rng)
		for name, p := range map[string]Problem{
			"none":      {},
			"right":     {Right: diagonal(d, rng)},
			"left":      {Left: blocks(n, 4, rng)},
			"two-sided": {Left: blocks(n, 4, rng), Right: diagonal(d, rng)},
			"full":      {Left: blocks(n, 4, rng), Right: full(d, rng)},
			"uneven":    {Left: append(blocks(6, 3, rng), blocks(n-6, n-6, rng)...), Right: full(d, rng)},
		} {
			p.Stack = mat.DenseCopyOf(m)
			t.Run(fmt.Sprintf("%s %d×%d", name, n, d), func(t *testing.T) { f(t, m, p) })
		}
	}
}

// TestOptimal holds the loss at every rank against the best possible one, which
// is the tail of the singular values of A M C^{1/2} by Eckart and Young.
func TestOptimal(t *testing.T) {
	problems(t, func(t *testing.T, m *mat.Dense, p Problem) {
		n, d := m.Dims()
		weighted := mat.DenseCopyOf(m)
		p.Right.Apply(weighted)
		at := 0
		for _, block := range p.Left { // the symmetric root, where the code uses Cholesky's
			var eig mat.EigenSym
			eig.Factorize(block, true)
			var root, q mat.Dense
			eig.VectorsTo(&q)
			values := eig.Values(nil)
			root.Apply(func(_, j int, v float64) float64 { return v * math.Sqrt(values[j]) }, &q)
			root.Mul(&root, q.T())
			b := block.SymmetricDim()
			part := weighted.Slice(at, at+b, 0, d).(*mat.Dense)
			at += b
			part.Mul(&root, mat.DenseCopyOf(part))
		}
		var svd mat.SVD
		if !svd.Factorize(weighted, mat.SVDNone) {
			t.Fatal("no SVD")
		}
		singular := svd.Values(nil)
		for r := 1; r <= min(n, d); r++ {
			q := p
			q.Stack = mat.DenseCopyOf(m)
			f, err := Factor(q, r)
			if err != nil {
				t.Fatal(err)
			}
			best := 0.0
			for _, s := range singular[r:] {
				best += s * s
			}
			total := singular[0] * singular[0]
			if got := loss(m, p, f); math.Abs(got-best) > 1e-6*best+1e-10*total {
				t.Errorf("rank %d: loss %g, best %g", r, got, best)
			}
			if got := Loss(f.Spectrum, r); math.Abs(got-best) > 1e-6*best+1e-10*total {
				t.Errorf("rank %d: predicted loss %g, best %g", r, got, best)
			}
		}
	})
}

// TestPlainSVD: with no weights the product is the truncated SVD of the stack.
func TestPlainSVD(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for _, shape := range [][2]int{{10, 30}, {30, 10}, {64, 64}} {
		n, d := shape[0], shape[1]
		m := random(n, d, rng)
		var svd mat.SVD
		svd.Factorize(m, mat.SVDThin)
		var u, v mat.Dense
		svd.UTo(&u)
		svd.VTo(&v)
		s := svd.Values(nil)
		for _, r := range []int{1, 5, min(n, d)} {
			f, err := Factor(Problem{Stack: mat.DenseCopyOf(m)}, r)
			if err != nil {
				t.Fatal(err)
			}
			var got, want mat.Dense
			got.Mul(f.Up, f.Down)
			want.Mul(u.Slice(0, n, 0, r), mat.NewDiagDense(r, s[:r]))
			var product mat.Dense
			product.Mul(&want, v.Slice(0, d, 0, r).T())
			got.Sub(&got, &product)
			if off := mat.Norm(&got, 2) / mat.Norm(&product, 2); off > 1e-6 {
				t.Errorf("%d×%d at rank %d: off by %g", n, d, r, off)
			}
		}
	}
}

// TestScaleInvariance: the measure may be scaled without changing the product.
func TestScaleInvariance(t *testing.T) {
	problems(t, func(t *testing.T, m *mat.Dense, p Problem) {
		scaled := Problem{Stack: mat.DenseCopyOf(m)}
		for _, block := range p.Left {
			s := mat.NewSymDense(block.SymmetricDim(), nil)
			s.ScaleSym(1e12, block)
			scaled.Left = append(scaled.Left, s)
		}
		if !p.Right.IsIdentity() {
			c := mat.NewDense(20, 20, nil)
			_, d := m.Dims()
			for j := range d {
				c.Set(j, j, 1e-9)
			}
			square := c.Slice(0, d, 0, d).(*mat.Dense)
			var err error
			scaled.Right, err = linalg.NewMetric(p.Right.Gram(mat.DenseCopyOf(square)))
			if err != nil {
				t.Fatal(err)
			}
		}
		a, errA := Factor(p, 3)
		b, errB := Factor(scaled, 3)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		var x, y mat.Dense
		x.Mul(a.Up, a.Down)
		y.Mul(b.Up, b.Down)
		y.Sub(&x, &y)
		if off := mat.Norm(&y, 2) / mat.Norm(&x, 2); off > 1e-6 {
			t.Errorf("off by %g", off)
		}
	})
}

// TestDegenerate: ranks beyond the stack's, zero stacks, dead heads and dead
// inputs give finite factors, and nothing that could be kept is lost.
func TestDegenerate(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	zeroBlock := blocks(12, 4, rng)
	zeroBlock[1] = mat.NewSymDense(4, nil)
	dead := make([]float64, 20)
	for j := range dead[4:] {
		dead[j] = 1 + float64(j)
	}
	deadInput, allDead := linalg.DiagonalMetric(dead), linalg.DiagonalMetric(make([]float64, 20))
	low := mat.NewDense(12, 20, nil)
	low.Mul(random(12, 2, rng), random(2, 20, rng))
	allZero := []*mat.SymDense{mat.NewSymDense(4, nil), mat.NewSymDense(4, nil), mat.NewSymDense(4, nil)}
	for name, c := range map[string]struct {
		stack *mat.Dense
		p     Problem
	}{
		"rank two":         {low, Problem{}},
		"rank two, tall":   {mat.DenseCopyOf(low.T()), Problem{}},
		"zero":             {mat.NewDense(12, 20, nil), Problem{}},
		"zero, tall":       {mat.NewDense(20, 12, nil), Problem{}},
		"dead head":        {random(12, 20, rng), Problem{Left: zeroBlock}},
		"dead input":       {random(12, 20, rng), Problem{Right: deadInput}},
		"all heads dead":   {random(12, 20, rng), Problem{Left: allZero}},
		"all inputs dead":  {random(12, 20, rng), Problem{Right: allDead}},
		"tiny, two-sided":  {scale(random(12, 20, rng), 1e-30), Problem{Left: blocks(12, 4, rng), Right: diagonal(20, rng)}},
		"large, two-sided": {scale(random(12, 20, rng), 1e30), Problem{Left: blocks(12, 4, rng), Right: diagonal(20, rng)}},
	} {
		t.Run(name, func(t *testing.T) {
			c.p.Stack = mat.DenseCopyOf(c.stack)
			f, err := Factor(c.p, 12)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range []*mat.Dense{f.Up, f.Down} {
				for _, v := range m.RawMatrix().Data {
					if math.IsNaN(v) || math.IsInf(v, 0) {
						t.Fatal("factors are not finite")
					}
				}
			}
			n := mat.Norm(c.stack, 2)
			if got := loss(c.stack, c.p, f); got > 1e-9*n*n*f.Spectrum[0]+1e-9*f.Spectrum[0] {
				t.Errorf("lost %g of %g", got, f.Spectrum[0])
			}
		})
	}
}

func scale(m *mat.Dense, v float64) *mat.Dense {
	m.Scale(v, m)
	return m
}

func TestNotFinite(t *testing.T) {
	m := mat.NewDense(4, 6, nil)
	m.Set(1, 1, math.NaN())
	if _, err := Factor(Problem{Stack: m}, 2); err == nil {
		t.Error("took NaN")
	}
}

func TestSpectrumAndRank(t *testing.T) {
	problems(t, func(t *testing.T, m *mat.Dense, p Problem) {
		q := p
		q.Stack = mat.DenseCopyOf(m)
		spectrum, err := Spectrum(q)
		if err != nil {
			t.Fatal(err)
		}
		f, err := Factor(p, 2)
		if err != nil {
			t.Fatal(err)
		}
		for i := range spectrum {
			if math.Abs(spectrum[i]-f.Spectrum[i]) > 1e-10*spectrum[0] {
				t.Errorf("value %d: %g and %g", i, spectrum[i], f.Spectrum[i])
			}
		}
	})
	s := []float64{5, 3, 1, 1, -1e-18}
	for share, want := range map[float64]int{0: 0, 0.5: 1, 0.51: 2, 0.8: 2, 0.9: 3, 1: 4} {
		if got := Rank(s, share); got != want {
			t.Errorf("rank for %v is %d, want %d", share, got, want)
		}
	}
}

// TestUneven: at full rank every row comes back, however much longer others are.
func TestUneven(t *testing.T) {
	for _, c := range []struct{ n, d int }{{6, 9}, {9, 6}, {7, 7}} {
		for _, factor := range []float64{1e-30, 1e-9, 1, 1e9, 1e30} {
			m := random(c.n, c.d, rand.New(rand.NewPCG(1, 2)))
			for j := range c.d {
				m.Set(1, j, factor*m.At(1, j))
				m.Set(2, j, 0)
			}
			f, err := Factor(Problem{Stack: mat.DenseCopyOf(m)}, min(c.n, c.d))
			if err != nil {
				t.Fatal(err)
			}
			var back mat.Dense
			back.Mul(f.Up, f.Down)
			back.Sub(&back, m)
			for i := range c.n {
				allowed := 1e-6 * mat.Norm(m.RowView(i), 2)
				if allowed == 0 {
					allowed = 1e-14 * mat.Norm(m, 2)
				}
				if off := mat.Norm(back.RowView(i), 2); !(off <= allowed) {
					t.Errorf("%d×%d, %g: row %d is off by %g", c.n, c.d, factor, i, off)
				}
			}
		}
	}
}
