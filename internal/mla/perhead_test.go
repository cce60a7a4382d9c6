package mla

import (
	"fmt"
	"math"
	"math/cmplx"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// convertPerHead converts the first layer of a model.
func convertPerHead(t *testing.T, m *family.Model, o Options) *HeadLayer {
	t.Helper()
	a, err := Input{Model: m}.Read(0)
	if err != nil {
		t.Fatal(err)
	}
	o.PerHead = true
	l, err := a.ConvertPerHead(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// perHeadScore is the score of head h of a converted layer, from the doc comment
// of HeadLayer.
func perHeadScore(t *testing.T, m *family.Model, l *HeadLayer, h int, x, y mat.Vector, distance float64) float64 {
	t.Helper()
	w, err := m.Attention(0).Query(h)
	if err != nil {
		t.Fatal(err)
	}
	D, g := m.HeadDim, m.Shape().KVHead(h)
	rotary, content := headRows(l.Keys.Kept[g], D)
	q, kr := times(w, x), times(l.Rotary, y)
	sum := 0.0
	omega := rope.Frequencies(m.RopeTheta, D)
	for n, i := range l.Keys.Kept[g] {
		at := g*len(rotary) + n
		qc, kc := complex(q.AtVec(i), q.AtVec(i+D/2)), complex(kr.AtVec(at), kr.AtVec(at+len(rotary)/2))
		sum += real(cmplx.Conj(qc) * kc * cmplx.Exp(complex(0, -omega[i]*distance)))
	}
	if len(content) > 0 {
		k := times(l.UpK, times(l.DownK, y))
		for n, row := range content {
			sum += q.AtVec(row) * k.AtVec(g*len(content)+n)
		}
	}
	return sum / math.Sqrt(float64(D))
}

// TestPerHeadScores: at full rank scores are exact at distance 0, and at every
// distance if all pairs keep their rotation; values are exact.
func TestPerHeadScores(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 3))
	for _, kv := range []int{1, 2, 4} {
		for _, dims := range []int{2, 4, 8} {
			for _, s := range rope.Strategies() {
				for _, w := range AllWeights() {
					m := testmodel.Llama{KVHeads: kv, Layers: 1}.Open(t)
					l := convertPerHead(t, m, Options{Rank: min(kv*(16-dims), 32), RopeDims: dims, Select: s, Weights: w})
					if l.Energy < 1-1e-12 {
						t.Errorf("kept %g of the energy", l.Energy)
					}
					for h := range m.Heads {
						x, y, distance := vector(m.Hidden, rng), vector(m.Hidden, rng), 0.0
						if dims == 8 {
							distance = float64(rng.IntN(1000))
						}
						want, got := originalScore(t, m, h, x, y, distance), perHeadScore(t, m, l, h, x, y, distance)
						if math.Abs(got-want) > 1e-8*(1+math.Abs(want)) {
							t.Fatalf("%d KV heads, %d rotary, %s, %s: score %g, want %g", kv, dims, s, w, got, want)
						}
						checkHeadValues(t, m, l, y)
					}
				}
			}
		}
	}
}

// checkHeadValues holds the values of a layer at full rank against the original
// ones.
func checkHeadValues(t *testing.T, m *family.Model, l *HeadLayer, y mat.Vector) {
	t.Helper()
	stack, err := m.Attention(0).KeyValue()
	if err != nil {
		t.Fatal(err)
	}
	n := m.KVHeads * m.HeadDim
	want, got := times(stack.Slice(n, 2*n, 0, m.Hidden), y), times(l.UpV, times(l.DownV, y))
	got.SubVec(got, want)
	if off := mat.Norm(got, 2) / mat.Norm(want, 2); off > 1e-8 {
		t.Fatalf("values are off by %g", off)
	}
}

// truncated returns the best approximation of m of rank r, by gonum's SVD.
func truncated(t *testing.T, m mat.Matrix, r int) *mat.Dense {
	t.Helper()
	var svd mat.SVD
	if !svd.Factorize(m, mat.SVDThin) {
		t.Fatal("no SVD")
	}
	var u, v, scaled, best mat.Dense
	svd.UTo(&u)
	svd.VTo(&v)
	n, _ := u.Dims()
	d, _ := v.Dims()
	scaled.Mul(u.Slice(0, n, 0, r), mat.NewDiagDense(r, svd.Values(nil)[:r]))
	best.Mul(&scaled, v.Slice(0, d, 0, r).T())
	return &best
}

// TestPlainSVD: without weights the product of the factors is the truncated SVD,
// of keys and values together or apart, and down is Vᵀ.
func TestPlainSVD(t *testing.T) {
	for _, split := range []bool{false, true} {
		t.Run(fmt.Sprintf("split %v", split), func(t *testing.T) {
			const rank = 6
			m := testmodel.Llama{KVHeads: 2, Layers: 1}.Open(t)
			l := convertPerHead(t, m, Options{Rank: map[bool]int{false: rank, true: 2 * rank}[split], RopeDims: 4, Select: rope.ByNorm, Weights: WeightsNone, Split: split})
			stack, err := m.Attention(0).KeyValue()
			if err != nil {
				t.Fatal(err)
			}
			var rows []int
			for g, kept := range l.Keys.Kept {
				_, content := headRows(kept, 8)
				for _, row := range content {
					rows = append(rows, 8*g+row)
				}
			}
			keys, values := gather(stack, rows), stack.Slice(16, 32, 0, m.Hidden)
			var k, v mat.Dense
			k.Mul(l.UpK, l.DownK)
			v.Mul(l.UpV, l.DownV)
			if split {
				checkNear(t, &k, truncated(t, keys, rank))
				checkNear(t, &v, truncated(t, values, rank))
			} else {
				var both, got mat.Dense
				both.Stack(keys, values)
				got.Stack(&k, &v)
				checkNear(t, &got, truncated(t, &both, rank))
			}
			var gram mat.Dense
			gram.Mul(l.DownK, l.DownK.T())
			identity := mat.NewDense(rank, rank, nil)
			for i := range rank {
				identity.Set(i, i, 1)
			}
			checkNear(t, &gram, identity)
		})
	}
}

func checkNear(t *testing.T, got, want *mat.Dense) {
	t.Helper()
	if !mat.EqualApprox(got, want, 1e-9) {
		t.Errorf("got\n%v\nwant\n%v", mat.Formatted(got), mat.Formatted(want))
	}
}

// TestPerHeadDead: a KV head that computes nothing leaves factors that are finite
// and the others whole.
func TestPerHeadDead(t *testing.T) {
	m := testmodel.Llama{KVHeads: 2, Layers: 1}.Open(t)
	a, err := Input{Model: m}.Read(0)
	if err != nil {
		t.Fatal(err)
	}
	for _, split := range []bool{false, true} {
		b, err := Analyse(&deadHeads{Projections: a.Projections}, nil, 0, m, 0)
		if err != nil {
			t.Fatal(err)
		}
		l, err := b.ConvertPerHead(Options{PerHead: true, Rank: 16, RopeDims: 4, Select: rope.BySensitivity, Weights: WeightsAttention, Split: split})
		if err != nil {
			t.Fatal(err)
		}
		if l.Energy < 1-1e-9 {
			t.Errorf("kept %g of the energy", l.Energy)
		}
		for _, matrix := range []*mat.Dense{l.DownK, l.DownV, l.UpK, l.UpV, l.Rotary} {
			n, _ := matrix.Dims()
			for i := range n {
				for _, v := range matrix.RawRowView(i) {
					if math.IsNaN(v) || math.IsInf(v, 0) {
						t.Fatal("not finite")
					}
				}
			}
		}
	}
}

// TestSpectrumSplit: the loss predicted from the merged spectrum is that of both
// factorisations.
func TestSpectrumSplit(t *testing.T) {
	m := testmodel.Llama{KVHeads: 2, Layers: 1}.Open(t)
	a, err := Input{Model: m}.Read(0)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{PerHead: true, Rank: 8, RopeDims: 4, Select: rope.High, Weights: WeightsAttention, Split: true}
	choice, err := a.Choose(o)
	if err != nil {
		t.Fatal(err)
	}
	spectrum, err := a.Spectrum(choice, o.Weights)
	if err != nil {
		t.Fatal(err)
	}
	kept, all := 0.0, 0.0
	for r, v := range spectrum {
		all += v
		if r < o.Rank {
			kept += v
		}
	}
	if l := convertPerHead(t, m, o); math.Abs(l.Energy-kept/all) > 1e-9 {
		t.Errorf("kept %g of the energy, predicted %g", l.Energy, kept/all)
	}
}
