package rope

import (
	"fmt"
	"math"
	"math/cmplx"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// layer is a random attention layer, H query heads, G KV heads, J pairs, with
// inputs of covariance 1: rows of q and k are the weights.
type layer struct {
	heads, kvHeads, pairs int
	q                     []*mat.Dense // [H] of [2J × d]
	k                     *mat.Dense   // [G·2J × d]
	Moments
}

func newLayer(heads, kvHeads, pairs, d int, seed uint64) *layer {
	rng := rand.New(rand.NewPCG(seed, 7))
	l := &layer{heads: heads, kvHeads: kvHeads, pairs: pairs}
	random := func(rows int) *mat.Dense {
		m := mat.NewDense(rows, d, nil)
		for i := range rows {
			scale := math.Exp(rng.NormFloat64() / 2)
			for j := range d {
				m.Set(i, j, scale*rng.NormFloat64()/math.Sqrt(float64(d)))
			}
		}
		return m
	}
	l.k = random(kvHeads * 2 * pairs)
	keys := mat.NewSymDense(kvHeads*2*pairs, nil)
	keys.SymOuterK(1, l.k)
	l.Moments = Moments{Keys: keys, KVHeads: kvHeads, Distances: DataFree(256), Near: DataFreeNear(256), Concentration: 1}
	for range heads {
		l.Heads = append(l.Heads, l.Distances)
		q := random(2 * pairs)
		energy := make([]float64, pairs)
		for i := range energy {
			re, im := mat.Norm(q.RowView(i), 2), mat.Norm(q.RowView(i+pairs), 2)
			energy[i] = re*re + im*im
		}
		l.q, l.Query = append(l.q, q), append(l.Query, energy)
	}
	return l
}

func all(n int) []bool {
	mask := make([]bool, n)
	fill(mask)
	return mask
}

func TestFrequencies(t *testing.T) {
	got := Frequencies(10000, 8)
	for i, want := range []float64{1, 0.1, 0.01, 0.001} {
		if math.Abs(got[i]-want) > 1e-15 {
			t.Errorf("frequency %d is %v, want %v", i, got[i], want)
		}
	}
}

func TestDistances(t *testing.T) {
	for _, p := range []Distances{DataFree(1), DataFree(512), DataFree(1 << 20), DataFreeNear(512)} {
		sum := 0.0
		for _, v := range p {
			sum += v
		}
		if math.Abs(sum-1) > 1e-12 || len(p) > maxWindow {
			t.Errorf("%d distances add up to %v", len(p), sum)
		}
	}
	uniform := Distances{0.25, 0.25, 0.25, 0.25}
	omega := 0.7
	// a geometric series in closed form
	want := (1 - cmplx.Exp(complex(0, 4*omega))) / (4 * (1 - cmplx.Exp(complex(0, omega))))
	if got := uniform.Rho(omega); cmplx.Abs(got-want) > 1e-14 {
		t.Errorf("ρ is %v, want %v", got, want)
	}
	direct := 0.0
	for d, p := range uniform {
		direct += p * math.Pow(cmplx.Abs(cmplx.Exp(complex(0, 0.7*float64(d)))-cmplx.Exp(complex(0, 0.2*float64(d)))), 2)
	}
	if got := uniform.Mismatch(0.7, 0.2); math.Abs(got-direct) > 1e-14 {
		t.Errorf("mismatch is %v, want %v", got, direct)
	}
	if got := uniform.Lost(0); got != 0 {
		t.Errorf("a pair that does not turn loses %v", got)
	}
}

// TestSensitivity holds S(h,i) against a simulation of what it measures: the
// variance that scores lose when the best constant takes the place of the
// rotation.
func TestSensitivity(t *testing.T) {
	l := newLayer(4, 2, 3, 20, 1)
	freq := Frequencies(100, 6)
	s := Sensitivity(&l.Moments, freq)
	rng := rand.New(rand.NewPCG(8, 8))
	for h := range l.heads {
		for i, omega := range freq {
			g := h / 2
			row := g*6 + i
			rho := l.Distances.Rho(omega)
			sum, n := 0.0, 40000
			for range n {
				x, y := make([]float64, 20), make([]float64, 20)
				for j := range x {
					x[j], y[j] = rng.NormFloat64(), rng.NormFloat64()
				}
				at := func(m *mat.Dense, r int, v []float64) float64 {
					return mat.Dot(m.RowView(r), mat.NewVecDense(len(v), v))
				}
				q := complex(at(l.q[h], i, x), at(l.q[h], i+3, x))
				z := complex(at(l.k, row, y), at(l.k, row+3, y))
				d := sample(l.Distances, rng.Float64())
				e := cmplx.Conj(q) * z * (cmplx.Exp(complex(0, omega*float64(d))) - rho)
				sum += real(e * cmplx.Conj(e))
			}
			if got := sum / float64(n); math.Abs(got-s[h][i]) > 0.15*s[h][i] {
				t.Errorf("head %d pair %d: simulated %g, computed %g", h, i, got, s[h][i])
			}
		}
	}
}

// sample returns the distance at which the probabilities add up to more than u.
func sample(p Distances, u float64) int {
	for d, v := range p {
		u -= v
		if u < 0 {
			return d
		}
	}
	return len(p) - 1
}

// TestExactWhereItCanBe: with a slot in its own frequency for every pair and KV
// head, nothing is lost, and Expand·Collect is the identity.
func TestExactWhereItCanBe(t *testing.T) {
	for _, c := range []struct{ heads, kvHeads, pairs int }{{4, 1, 4}, {2, 1, 1}, {4, 2, 3}, {2, 2, 1}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			l := newLayer(c.heads, c.kvHeads, c.pairs, 30, 2)
			dim := 2 * c.pairs
			freq := Frequencies(1000, dim)
			key, err := Share(&l.Moments, freq, all(c.pairs), Slots{Dims: dim * c.kvHeads, Theta: 1000})
			if err != nil {
				t.Fatal(err)
			}
			if c.kvHeads == 1 {
				for h, lost := range key.Lost {
					if lost > 1e-12 {
						t.Errorf("head %d loses %g", h, lost)
					}
				}
			}
			var product mat.Dense
			product.Mul(key.Expand, key.Collect)
			for i := range c.kvHeads * dim {
				for j := range c.kvHeads * dim {
					if want := map[bool]float64{true: 1}[i == j]; math.Abs(product.At(i, j)-want) > 1e-9 {
						t.Fatalf("Expand·Collect at (%d, %d) is %g", i, j, product.At(i, j))
					}
				}
			}
		})
	}
}

// TestSharedKey checks what holds for every shared key: Collect·Expand is the
// identity on the slots in use, these have mean square 1 together, and both maps
// commute with rotation at the slot's frequency, which is what makes them legal.
func TestSharedKey(t *testing.T) {
	l := newLayer(6, 3, 8, 40, 3)
	freq := Frequencies(10000, 16)
	for _, dims := range []int{2, 4, 8, 16, 24, 48} {
		for _, theta := range []float64{100, 10000} {
			key, err := Share(&l.Moments, freq, all(8), Slots{Dims: dims, Theta: theta})
			if err != nil {
				t.Fatal(err)
			}
			var product mat.Dense
			product.Mul(key.Collect, key.Expand)
			squares, slots := 0.0, 0.0
			for s := range dims / 2 {
				used := len(key.Serves[s]) > 0
				for _, row := range []int{2 * s, 2*s + 1} {
					want := map[bool]float64{true: 1}[used]
					if got := product.At(row, row); math.Abs(got-want) > 1e-9 {
						t.Errorf("dims %d θ' %g: Collect·Expand at row %d is %g", dims, theta, row, got)
					}
				}
				if used {
					squares, slots = squares+meanSquare(l, key, s), slots+1
				}
				for g := range 3 {
					for i := range 8 {
						re, im := g*16+i, g*16+i+8
						a, b := key.Collect.At(2*s, re), key.Collect.At(2*s, im)
						c, d := key.Collect.At(2*s+1, re), key.Collect.At(2*s+1, im)
						if a != d || b != -c {
							t.Errorf("slot %d pair %d: [%g %g; %g %g] is no complex number", s, i, a, b, c, d)
						}
					}
				}
			}
			if math.Abs(squares/slots-1) > 1e-9 {
				t.Errorf("dims %d θ' %g: mean square of the slots is %g", dims, theta, squares/slots)
			}
			for h, lost := range key.Lost {
				if lost < 0 || lost > 1+1e-9 {
					t.Errorf("head %d loses %g", h, lost)
				}
			}
		}
	}
}

// TestMoreSlotsLoseLess: with slots in the pairs' own frequencies, every further
// eigenvector of a pair reduces the loss of all heads together.
func TestMoreSlotsLoseLess(t *testing.T) {
	l := newLayer(4, 4, 4, 30, 4)
	freq := Frequencies(10000, 8)
	before := math.Inf(1)
	for _, dims := range []int{8, 16, 24, 32} {
		key, err := Share(&l.Moments, freq, all(4), Slots{Dims: dims, Theta: 10000})
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, lost := range key.Lost {
			sum += lost
		}
		if sum > before {
			t.Errorf("%d dimensions lose %g, fewer lost %g", dims, sum, before)
		}
		before = sum
	}
}

// TestLeadingEigenvector: for one pair the slot is the best rank-one rotary key,
// so no other unit combination of the weighted keys has more energy.
func TestLeadingEigenvector(t *testing.T) {
	l := newLayer(3, 3, 1, 20, 5)
	freq := []float64{1}
	key, err := Share(&l.Moments, freq, all(1), Slots{Dims: 2, Theta: 1e9})
	if err != nil {
		t.Fatal(err)
	}
	lost := func(k *SharedKey) float64 { // what predict weighs: Σ_h E|q|² · what is left of z
		var rotary, projected mat.Dense
		rotary.Mul(k.Collect, l.k)
		projected.Mul(k.Expand, &rotary)
		projected.Sub(l.k, &projected)
		sum := 0.0
		for g := range 3 {
			for _, row := range []int{2 * g, 2*g + 1} {
				n := mat.Norm(projected.RowView(row), 2)
				sum += l.queryEnergy(g, 0) * n * n
			}
		}
		return sum
	}
	best := lost(key)
	rng := rand.New(rand.NewPCG(9, 9))
	for range 500 {
		other := &SharedKey{Collect: mat.DenseCopyOf(key.Collect), Expand: mat.DenseCopyOf(key.Expand)}
		b := builder{Moments: &l.Moments, SharedKey: other}
		// a random direction near the chosen one, with its own best regression
		var z []complex128
		for g := range 3 {
			w := math.Sqrt(l.queryEnergy(g, 0))
			c := complex(key.Collect.At(0, 2*g), key.Collect.At(1, 2*g)) + complex(rng.NormFloat64(), rng.NormFloat64())*complex(0.05*w, 0)
			z = append(z, c)
		}
		energy := complex(0, 0)
		for a := range 3 {
			for c := range 3 {
				energy += z[a] * l.keyCovariance(a, 0, c, 0) * cmplx.Conj(z[c])
			}
		}
		for a := range 3 {
			var regress complex128
			for c := range 3 {
				regress += l.keyCovariance(a, 0, c, 0) * cmplx.Conj(z[c])
			}
			b.put(0, l.row(a, 0), z[a], regress/energy)
		}
		if got := lost(other); got < best*(1-1e-9) {
			t.Fatalf("a neighbour loses %g, the eigenvector %g", got, best)
		}
	}
}

// TestOnePosition: a model of one position never turns, and loses nothing.
func TestOnePosition(t *testing.T) {
	l := newLayer(2, 1, 4, 20, 9)
	l.Distances, l.Near = DataFree(1), DataFreeNear(1)
	l.Heads = []Distances{l.Distances, l.Distances}
	key, err := Share(&l.Moments, Frequencies(10000, 8), all(4), Slots{Dims: 4, Theta: 100})
	if err != nil {
		t.Fatal(err)
	}
	for h, lost := range key.Lost {
		if lost != 0 {
			t.Errorf("head %d loses %v", h, lost)
		}
	}
}

func TestDeadLayers(t *testing.T) {
	freq := Frequencies(10000, 8)
	dead := newLayer(4, 2, 4, 20, 6)
	dead.Keys = mat.NewSymDense(16, nil)
	mute := newLayer(4, 2, 4, 20, 6)
	for h := range mute.Query {
		mute.Query[h] = make([]float64, 4)
	}
	for name, l := range map[string]*layer{"keys": dead, "queries": mute} {
		key, err := Share(&l.Moments, freq, all(4), Slots{Dims: 8, Theta: 10000})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range []*mat.Dense{key.Collect, key.Expand} {
			for _, v := range m.RawMatrix().Data {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					t.Fatalf("dead %s: not finite", name)
				}
			}
		}
		for _, share := range Shares(Sensitivity(&l.Moments, freq)) {
			if share != 0 {
				t.Errorf("dead %s: share %v", name, share)
			}
		}
	}
}

func TestCandidates(t *testing.T) {
	l := newLayer(4, 2, 6, 20, 7)
	for i := range 6 { // norms that rise with the index, but for the last
		for h := range l.Query {
			l.Query[h][i] = float64(1 + i%5*100)
		}
	}
	for _, c := range []struct {
		strategy Strategy
		slots    int
		want     []int
	}{
		{BySensitivity, 2, []int{0, 1, 2, 3, 4, 5}},
		{High, 2, []int{0, 1}},
		{Low, 2, []int{4, 5}},
		{Uniform, 3, []int{0, 2, 4}},
		{Uniform, 4, []int{0, 1, 3, 4}},
		{High, 99, []int{0, 1, 2, 3, 4, 5}},
	} {
		if got := indices(c.strategy.Candidates(&l.Moments, c.slots)); !slices.Equal(got, c.want) {
			t.Errorf("%s of %d: %v, want %v", c.strategy, c.slots, got, c.want)
		}
	}
	byNorm := indices(ByNorm.Candidates(&l.Moments, 3))
	norm := func(i int) float64 {
		sum := 0.0
		for h := range l.Query {
			sum += math.Sqrt(l.Query[h][i] * l.keyEnergy(h/2, i))
		}
		return sum
	}
	for i := range 6 {
		if !slices.Contains(byNorm, i) {
			for _, kept := range byNorm {
				if norm(i) > norm(kept) {
					t.Errorf("2-norm keeps pair %d and not %d, which is larger", kept, i)
				}
			}
		}
	}
}

func indices(mask []bool) []int {
	var list []int
	for i, ok := range mask {
		if ok {
			list = append(list, i)
		}
	}
	return list
}

// TestOnlyCandidatesRotate: pairs that may not keep their rotation do not.
func TestOnlyCandidatesRotate(t *testing.T) {
	l := newLayer(4, 2, 6, 20, 8)
	mask := []bool{false, true, false, true, true, false}
	key, err := Share(&l.Moments, Frequencies(10000, 12), mask, Slots{Dims: 6, Theta: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for i, ok := range mask {
		for g := range 2 {
			for s := range 6 {
				if !ok && key.Collect.At(s, g*12+i) != 0 {
					t.Errorf("pair %d reaches slot %d", i, s/2)
				}
			}
		}
	}
	none, err := Share(&l.Moments, Frequencies(10000, 12), make([]bool, 6), Slots{Dims: 6, Theta: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if mat.Norm(none.Collect, 1) != 0 || math.Abs(none.Lost[0]-1) > 1e-12 {
		t.Error("a key without candidates rotates")
	}
}

func TestBases(t *testing.T) {
	for _, c := range []struct {
		theta     float64
		dim, dims int
	}{{10000, 8, 8}, {10000, 128, 64}, {500000, 128, 64}, {10000, 64, 2}, {10000, 16, 96}, {1e6, 128, 256}} {
		bases := Bases(c.theta, c.dim, c.dims)
		if !slices.Contains(bases, c.theta) {
			t.Errorf("%v: the source's own base is not among %v", c, bases)
		}
		if !slices.IsSorted(bases) || bases[0] <= 1 || len(bases) < 2 {
			t.Errorf("%v: bases %v", c, bases)
		}
	}
}

// TestStill: pairs of frequency 0 lose nothing, and no slot takes them.
func TestStill(t *testing.T) {
	p := DataFree(100)
	if p.Rho(0) != 1 || p.Lost(0) != 0 {
		t.Errorf("ρ(0) = %v, lost %v", p.Rho(0), p.Lost(0))
	}
	l := newLayer(2, 1, 4, 16, 5)
	for _, frequencies := range [][]float64{{1, 0.1, 0, 0}, {0, 0, 0, 0}} {
		key, err := Share(&l.Moments, frequencies, all(4), Slots{Dims: 4, Theta: 100})
		if err != nil {
			t.Fatal(err)
		}
		for slot, pairs := range key.Serves {
			for _, i := range pairs {
				if frequencies[i] == 0 {
					t.Errorf("slot %d serves pair %d, which stands still", slot, i)
				}
			}
		}
		for i := 2; i < 4; i++ {
			for _, row := range []int{i, i + 4} {
				if norm := mat.Norm(key.Expand.RowView(row), 2); norm != 0 {
					t.Errorf("row %d is expanded from the rotary key by %g", row, norm)
				}
			}
		}
		for h, lost := range key.Lost {
			if frequencies[0] == 0 && (lost != 0 || key.ScoreError[h] != 0) {
				t.Errorf("head %d loses %g where nothing rotates", h, lost)
			}
		}
	}
}
