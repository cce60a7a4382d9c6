package calib

import (
	"context"
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// TestBiasedMoments: without data the moments of queries and keys are W·diag(γ²)·Wᵀ
// + b·bᵀ, those of values go without biases.
func TestBiasedMoments(t *testing.T) {
	m := testmodel.Llama{Kind: "qwen2", KVHeads: 2, Bias: 2}.Open(t)
	p := m.Attention(1)
	stack, err := p.KeyValue()
	if err != nil {
		t.Fatal(err)
	}
	l, err := DataFree(p, stack, 128)
	if err != nil {
		t.Fatal(err)
	}
	gamma, _ := p.Norm()
	b, err := p.Biases()
	if err != nil || b.Output != nil {
		t.Fatal(b, err)
	}
	check := func(what string, w mat.Matrix, bias []float64, got mat.Symmetric) {
		n, d := w.Dims()
		for i := range n {
			for j := range n {
				want := bias[i] * bias[j]
				for k := range d {
					want += w.At(i, k) * gamma[k] * gamma[k] * w.At(j, k)
				}
				if math.Abs(got.At(i, j)-want) > 1e-9*(1+math.Abs(want)) {
					t.Fatalf("%s: moment %d,%d is %g, want %g", what, i, j, got.At(i, j), want)
				}
			}
		}
	}
	q, err := p.Query(3)
	if err != nil {
		t.Fatal(err)
	}
	check("queries", q, b.Query[24:32], l.Queries[3])
	check("keys", stack.Slice(0, 16, 0, 32), b.Key, l.Keys)
	check("values", stack.Slice(24, 32, 0, 32), make([]float64, 8), l.Values[1])
	if c := l.Constant(); c.Functional != nil || c.Left != 1 {
		t.Errorf("without data %+v stands for the constant", c)
	}
}

// sumsOf runs m on some tokens and returns the sums of layer 1 and its inputs.
func sumsOf(t *testing.T, m *family.Model) *Sums {
	t.Helper()
	windows := tokens.Windows{testmodel.Tokens(100, m.Vocab, 1), testmodel.Tokens(100, m.Vocab, 2)}
	var sums *Sums
	err := Collect(context.Background(), m, Text{Kept: windows}, nil, func(layer int, s *Sums) error { sums = s; return nil }, nil)
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

// TestConstant: what stands for the constant is as far from 1, on the tokens that
// it was found on, as it says, and nearer than zero is.
func TestConstant(t *testing.T) {
	m := testmodel.Llama{Kind: "qwen2", KVHeads: 2}.Open(t)
	sums := sumsOf(t, m)
	p := m.Attention(m.Layers - 1)
	stack, err := p.KeyValue()
	if err != nil {
		t.Fatal(err)
	}
	l, err := Observed(p, stack, sums, Shrinkage)
	if err != nil {
		t.Fatal(err)
	}
	u, left := l.Constant().Functional, l.Constant().Left
	off, n := 0.0, 0.0
	for _, x := range sums.Sample {
		for row := range x.Rows {
			v := 1.0
			for j, c := range u {
				v -= c * float64(x.Data[row*x.Stride+j])
			}
			off += v * v
			n++
		}
	}
	if got := math.Sqrt(off / n); math.Abs(got-left) > 0.02 || left > 0.95 {
		t.Errorf("off by %g, said to be %g", got, left)
	}
}

// TestHeadNorms: what linear queries and keys in the place of norms get wrong is what it is said
// to be, measured on queries and keys themselves, and less than with constants.
func TestHeadNorms(t *testing.T) {
	m := testmodel.Llama{Kind: "qwen3", KVHeads: 2}.Open(t)
	sums := sumsOf(t, m).Plain()
	p := m.Attention(m.Layers - 1)
	without, said, err := WithoutHeadNorms(p, sums)
	if err != nil {
		t.Fatal(err)
	}
	const D, H, G = 8, 4, 2
	norms, err := p.HeadNorms()
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := p.KeyValue()
	folded, err := without.KeyValue()
	if err != nil {
		t.Fatal(err)
	}
	wrong, constants := 0.0, 0.0
	for head := range H + G {
		var w, f mat.Matrix
		var gamma []float64
		if head < H {
			gamma = norms.Query[head*D:]
			w, err = p.Query(head)
			if err != nil {
				t.Fatal(err)
			}
			if f, err = without.Query(head); err != nil {
				t.Fatal(err)
			}
		} else {
			g := head - H
			gamma = norms.Key[g*D:]
			w, f = raw.Slice(g*D, (g+1)*D, 0, 32), folded.Slice(g*D, (g+1)*D, 0, 32)
		}
		n, off := 0.0, 0.0
		var r, r2 float64
		for _, x := range sums.Sample {
			for t := range x.Rows {
				v := mat.NewVecDense(32, nil)
				for j := range 32 {
					v.SetVec(j, float64(x.Data[t*x.Stride+j]))
				}
				var q, constant mat.VecDense
				q.MulVec(w, v)
				constant.MulVec(f, v)
				size := mat.Norm(&q, 2) / math.Sqrt(D)
				r, r2 = r+size, r2+size*size
				for i := range D { // relative to the normed query, whose mean square before γ is 1
					d := (q.AtVec(i)/size - constant.AtVec(i)/gamma[i]) / math.Sqrt(D)
					off += d * d
				}
				n++
			}
		}
		wrong += off / n / (H + G)
		constants += (1 - r*r/r2/n) / (H + G)
	}
	if got := math.Sqrt(wrong); math.Abs(got-said.All) > 1e-3 || said.All < 0.05 || wrong > 0.9*constants {
		t.Errorf("off by %g, said to be %g, with constants %g", got, said.All, math.Sqrt(constants))
	}
	if expected, unknown, err := WithoutHeadNorms(p, nil); err != nil || unknown != (NormError{}) || expected == nil {
		t.Errorf("without data: %v, %v", unknown, err)
	}
	if plain := (testmodel.Llama{}).Open(t).Attention(0); must(WithoutHeadNorms(plain, nil)) != Projections(plain) {
		t.Error("a layer without norms is changed")
	}
}

func must(p Projections, _ NormError, err error) Projections {
	if err != nil {
		panic(err)
	}
	return p
}
