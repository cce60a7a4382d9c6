package mla

import (
	"fmt"
	"math"
	"math/cmplx"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// convert converts the first layer of a model.
func convert(t *testing.T, m *family.Model, o Options) *Layer {
	t.Helper()
	a, err := Input{Model: m}.Read(0)
	if err != nil {
		t.Fatal(err)
	}
	if o.Select == "" {
		o.Select = rope.BySensitivity
	}
	if o.Weights == "" {
		o.Weights = WeightsAttention
	}
	l, err := a.Convert(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// vector returns a random attention input.
func vector(d int, rng *rand.Rand) *mat.VecDense {
	x := mat.NewVecDense(d, nil)
	for i := range d {
		x.SetVec(i, rng.NormFloat64())
	}
	return x
}

func times(m mat.Matrix, x mat.Vector) *mat.VecDense {
	var y mat.VecDense
	y.MulVec(m, x)
	return &y
}

// originalScore is the score of head h, straight from the definition of RoPE on
// halves (design §2).
func originalScore(t *testing.T, m *family.Model, h int, x, y mat.Vector, distance float64) float64 {
	t.Helper()
	a := m.Attention(0)
	w, err := a.Query(h)
	if err != nil {
		t.Fatal(err)
	}
	stack, err := a.KeyValue()
	if err != nil {
		t.Fatal(err)
	}
	D := m.HeadDim
	g := m.Shape().KVHead(h)
	q, k := times(w, x), times(stack.Slice(g*D, (g+1)*D, 0, m.Hidden), y)
	sum := 0.0
	for i, omega := range rope.Frequencies(m.RopeTheta, D) {
		qc, kc := complex(q.AtVec(i), q.AtVec(i+D/2)), complex(k.AtVec(i), k.AtVec(i+D/2))
		sum += real(cmplx.Conj(qc) * kc * cmplx.Exp(complex(0, -omega*distance)))
	}
	return sum / math.Sqrt(float64(D))
}

// convertedScore is the score of head h of a converted layer, from the doc
// comment of Layer.
func convertedScore(t *testing.T, m *family.Model, l *Layer, h int, x, y mat.Vector, distance float64) float64 {
	t.Helper()
	w, err := m.Attention(0).Query(h)
	if err != nil {
		t.Fatal(err)
	}
	D, g := m.HeadDim, m.Shape().KVHead(h)
	_, dr := l.Key.Expand.Dims()
	q := times(w, x)
	content := times(block(l.UpK, g, D), times(l.Down, y))
	sum := mat.Dot(q, content)
	rotaryQ, rotaryK := times(l.Key.Expand.Slice(g*D, (g+1)*D, 0, dr).T(), q), times(l.Rotary, y)
	for s, nu := range l.Key.Frequencies {
		qc, kc := complex(rotaryQ.AtVec(2*s), rotaryQ.AtVec(2*s+1)), complex(rotaryK.AtVec(2*s), rotaryK.AtVec(2*s+1))
		sum += real(cmplx.Conj(qc) * kc * cmplx.Exp(complex(0, -nu*distance)))
	}
	return sum / math.Sqrt(float64(D))
}

// TestLosslessMQA: with one KV head, all of its pairs in the rotary key and full
// rank, every score and value stays what it was.
func TestLosslessMQA(t *testing.T) {
	for _, w := range AllWeights() {
		m := testmodel.Llama{KVHeads: 1, Layers: 1}.Open(t)
		l := convert(t, m, Options{Rank: 16, RopeDims: 8, RopeTheta: m.RopeTheta, Weights: w})
		if l.Energy < 1-1e-12 {
			t.Errorf("%s: kept %g of the energy", w, l.Energy)
		}
		rng := rand.New(rand.NewPCG(1, 3))
		for range 50 {
			x, y, d := vector(m.Hidden, rng), vector(m.Hidden, rng), float64(rng.IntN(1000))
			h := rng.IntN(m.Heads)
			want, got := originalScore(t, m, h, x, y, d), convertedScore(t, m, l, h, x, y, d)
			if math.Abs(got-want) > 1e-9*(1+math.Abs(want)) {
				t.Fatalf("%s: score at distance %v is %g, want %g", w, d, got, want)
			}
			checkValues(t, m, l, y, 1e-9)
		}
	}
}

// checkValues holds the values of a converted layer against the original ones.
func checkValues(t *testing.T, m *family.Model, l *Layer, y mat.Vector, tolerance float64) {
	t.Helper()
	stack, err := m.Attention(0).KeyValue()
	if err != nil {
		t.Fatal(err)
	}
	n := m.KVHeads * m.HeadDim
	want := times(stack.Slice(n, 2*n, 0, m.Hidden), y)
	got := times(l.UpV, times(l.Down, y))
	got.SubVec(got, want)
	if off := mat.Norm(got, 2) / mat.Norm(want, 2); off > tolerance {
		t.Fatalf("values are off by %g", off)
	}
}

// TestContentIsKept: at distance 0 nothing turns, so at full rank scores are
// exact however few pairs keep their rotation.
func TestContentIsKept(t *testing.T) {
	for _, kv := range []int{1, 2, 4} {
		for _, dims := range []int{2, 8, 16} {
			for _, s := range []rope.Strategy{rope.BySensitivity, rope.ByNorm, rope.High, rope.Low, rope.Uniform} {
				if s != rope.BySensitivity && dims > 8 {
					continue
				}
				t.Run(fmt.Sprint(kv, dims, s), func(t *testing.T) {
					m := testmodel.Llama{KVHeads: kv, Layers: 1}.Open(t)
					l := convert(t, m, Options{Rank: min(2*kv*8, 32), RopeDims: min(dims, kv*8), RopeTheta: 1000, Select: s})
					rng := rand.New(rand.NewPCG(2, 3))
					for h := range m.Heads {
						x, y := vector(m.Hidden, rng), vector(m.Hidden, rng)
						want, got := originalScore(t, m, h, x, y, 0), convertedScore(t, m, l, h, x, y, 0)
						if math.Abs(got-want) > 1e-8*(1+math.Abs(want)) {
							t.Errorf("score of head %d is %g, want %g", h, got, want)
						}
						checkValues(t, m, l, y, 1e-8)
					}
				})
			}
		}
	}
}

// TestLatentMeanSquare: the latent has mean square 1 over its channels and inputs as
// RMSNorm leaves them, whatever the weights.
func TestLatentMeanSquare(t *testing.T) {
	for _, w := range AllWeights() {
		m := testmodel.Llama{KVHeads: 2, Layers: 1}.Open(t)
		l := convert(t, m, Options{Rank: 12, RopeDims: 4, RopeTheta: 1000, Weights: w})
		gamma, err := m.Attention(0).Norm()
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for k := range 12 {
			for j, v := range l.Down.RawRowView(k) {
				sum += v * v * gamma[j] * gamma[j] / 12
			}
		}
		if math.Abs(sum-1) > 1e-9 {
			t.Errorf("%s: the latent has mean square %g", w, sum)
		}
	}
}

// TestDeadHeads: heads that compute nothing leave a layer that is finite and,
// for the others, as good as before.
func TestDeadHeads(t *testing.T) {
	m := testmodel.Llama{KVHeads: 2, Layers: 1}.Open(t)
	a, err := Input{Model: m}.Read(0)
	if err != nil {
		t.Fatal(err)
	}
	dead := &deadHeads{Projections: a.Projections}
	b, err := Analyse(dead, nil, 0, m, 0)
	if err != nil {
		t.Fatal(err)
	}
	l, err := b.Convert(Options{Rank: 20, RopeDims: 8, RopeTheta: 1000, Select: rope.BySensitivity, Weights: WeightsAttention})
	if err != nil {
		t.Fatal(err)
	}
	for _, matrix := range []*mat.Dense{l.Down, l.UpK, l.UpV, l.Rotary, l.Key.Expand} {
		for _, v := range matrix.RawMatrix().Data {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				t.Fatal("not finite")
			}
		}
	}
	// the living head has the whole rank of its keys and values and loses nothing
	if l.Energy < 1-1e-9 {
		t.Errorf("kept %g of the energy", l.Energy)
	}
}

// deadHeads silences KV head 1: no queries, keys, values or outputs.
type deadHeads struct{ calib.Projections }

func (d *deadHeads) Query(h int) (*mat.Dense, error) {
	q, err := d.Projections.Query(h)
	if h >= 2 {
		q.Zero()
	}
	return q, err
}

func (d *deadHeads) KeyValue() (*mat.Dense, error) {
	kv, err := d.Projections.KeyValue()
	_, c := kv.Dims()
	for _, from := range []int{8, 24} {
		kv.Slice(from, from+8, 0, c).(*mat.Dense).Zero()
	}
	return kv, err
}

func (d *deadHeads) OutputRows(from, to int) (*mat.Dense, error) {
	o, err := d.Projections.OutputRows(from, to)
	o.Slice(0, to-from, 16, 32).(*mat.Dense).Zero()
	return o, err
}

// TestCompressedQuery: at the rank of the stacked queries they are what they
// were, whatever the measure; below, the loss of scores falls as the rank grows
// and is least in the measure of scores.
func TestCompressedQuery(t *testing.T) {
	m := testmodel.Llama{KVHeads: 2, Layers: 1}.Open(t)
	loss := func(w Weights, rank int) float64 {
		l := convert(t, m, Options{Rank: 8, RopeDims: 4, RopeTheta: 1000, Weights: w, QueryRank: rank})
		return scoreLoss(t, m, l)
	}
	if l := convert(t, m, Options{Rank: 8, RopeDims: 4, RopeTheta: 1000}); l.QueryDown != nil {
		t.Error("compressed without being asked")
	}
	for _, w := range AllWeights() {
		last := math.Inf(1)
		for _, rank := range []int{1, 8, 20, 32} {
			now, best := loss(w, rank), loss(WeightsAttention, rank)
			if !(now < last) || now < best*(1-1e-9)-1e-9 {
				t.Errorf("%s: loss %g at rank %d, %g below; in the measure of scores %g", w, now, rank, last, best)
			}
			last = now
		}
		if last > 1e-12 {
			t.Errorf("%s: loss %g at full rank", w, last)
		}
	}
}

// scoreLoss is what compressed queries lose, Σ_h σ_h tr(δW C δWᵀ E[k kᵀ]), of what
// there is.
func scoreLoss(t *testing.T, m *family.Model, l *Layer) float64 {
	t.Helper()
	a, err := Input{Model: m}.Read(0)
	if err != nil {
		t.Fatal(err)
	}
	lost, all := 0.0, 0.0
	weights := a.Stats.QueryWeights(a.Frequencies)
	for h := range m.Heads {
		q, err := a.Query(h)
		if err != nil {
			t.Fatal(err)
		}
		up, _, err := l.Heads.Query(h)
		if err != nil {
			t.Fatal(err)
		}
		var compressed, off, product mat.Dense
		compressed.Mul(up, l.QueryDown)
		off.Sub(q, &compressed)
		product.Mul(a.Stats.Input.Gram(&off), weights[h])
		lost += mat.Trace(&product)
		product.Mul(a.Stats.Input.Gram(q), weights[h])
		all += mat.Trace(&product)
	}
	return lost / all
}

// TestQueryNorm: queries behind a norm of all heads together are those of the source.
func TestQueryNorm(t *testing.T) {
	m := testmodel.Open(t, "../../testdata/stock/olmoe")
	l := convert(t, m, Options{Rank: 16, RopeDims: 8, RopeTheta: m.RopeTheta, QueryNorm: true})
	a, D := m.Attention(0), m.HeadDim
	norms, err := a.HeadNorms()
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(2, 9))
	for range 10 {
		x := vector(m.Hidden, rng)
		compressed := times(l.QueryDown, x)
		square := mat.Dot(compressed, compressed) / float64(m.Heads*D)
		for h := range m.Heads {
			w, err := a.Query(h)
			if err != nil {
				t.Fatal(err)
			}
			content, rotary, err := l.Heads.Query(h)
			if err != nil {
				t.Fatal(err)
			}
			want, part := times(w, x), mat.NewVecDense(D, nil)
			for i := range D {
				scale := norms.Query[h*D+i] / math.Sqrt(square+m.NormEps)
				want.SetVec(i, want.AtVec(i)*scale)
				part.SetVec(i, compressed.AtVec(h*D+i)*l.QueryNorm[h*D+i]/math.Sqrt(square+l.QueryEps))
			}
			turned := times(block(l.Key.Expand, 0, D).T(), want)
			for _, c := range []struct{ got, want mat.Vector }{{times(content, part), want}, {times(rotary, part), turned}} {
				if !mat.EqualApprox(c.got, c.want, 1e-12) {
					t.Errorf("head %d: %v, want %v", h, c.got, c.want)
				}
			}
		}
	}
}
