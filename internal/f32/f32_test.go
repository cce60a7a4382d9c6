package f32

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"gonum.org/v1/gonum/blas"
)

// random returns a matrix of normal numbers that is part of a wider one.
func random[T Real](rng *rand.Rand, rows, cols int) General[T] {
	m := NewOf[T](rows+2, cols+3)
	for i := range m.Data {
		m.Data[i] = T(rng.NormFloat64())
	}
	return m.Part(1, rows, 2, cols)
}

// TestAttention holds blocks of queries against attention written out, with all keys in
// reach and with few, over more queries than one block has.
func TestAttention(t *testing.T) {
	const tokens, width, values, scale = QueriesAtOnce + 21, 6, 4, 0.3
	rng := rand.New(rand.NewPCG(1, 2))
	q, k, v := random[float32](rng, tokens, width), random[float32](rng, tokens, width), random[float32](rng, tokens, values)
	for _, reach := range []int{0, 1, 40} {
		out, seen := New(tokens, values), 0
		Attention(out, q, k, v, scale, reach, func(from int, p, mixed Matrix) {
			if from != seen || p.Rows != mixed.Rows || p.Cols != from+p.Rows {
				t.Errorf("queries from %d on are shown as [%d × %d], want from %d on", from, p.Rows, p.Cols, seen)
			}
			seen += p.Rows
		})
		if seen != tokens {
			t.Errorf("%d queries were shown, want %d", seen, tokens)
		}
		for i := range tokens {
			for j, want := range attendTo(q, k, v, i, scale, reach) {
				if got := float64(out.Row(i)[j]); math.Abs(got-want) > 1e-5 {
					t.Fatalf("reach %d: query %d attends to %g, want %g", reach, i, got, want)
				}
			}
		}
	}
}

// TestStack: rows come one below the other, also those of a part of a wider matrix.
func TestStack(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	parts := []Matrix{random[float32](rng, 2, 3), random[float32](rng, 1, 3), random[float32](rng, 4, 3)}
	all, at := Stack(parts), 0
	for _, p := range parts {
		if d := all.RowsFrom(at, p.Rows).SquaredDistance(p); d != 0 {
			t.Errorf("from row %d on it is off by %g", at, d)
		}
		at += p.Rows
	}
	if all.Rows != at || all.Cols != 3 {
		t.Errorf("[%d × %d]", all.Rows, all.Cols)
	}
	if one := Stack(parts[:1]); one.SquaredDistance(parts[0]) != 0 {
		t.Error("a single part changed")
	}
}

// attendTo is what query i attends to, in double precision.
func attendTo(q, k, v Matrix, i int, scale float64, reach int) []float64 {
	first := 0
	if reach > 0 {
		first = max(0, i+1-reach)
	}
	sum, out := 0.0, make([]float64, v.Cols)
	for s := first; s <= i; s++ {
		score := 0.0
		for j, x := range q.Row(i) {
			score += float64(x) * float64(k.Row(s)[j])
		}
		e := math.Exp(scale * score)
		sum += e
		for j, x := range v.Row(s) {
			out[j] += e * float64(x)
		}
	}
	for j := range out {
		out[j] /= sum
	}
	return out
}

// TestProduct: both precisions say the same, and an empty factor changes nothing.
func TestProduct(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	a, b := random[float32](rng, 5, 3), random[float32](rng, 5, 4)
	single, double := New(3, 4), NewOf[float64](3, 4)
	Product(single, blas.Trans, a, blas.NoTrans, b, 2, 0)
	Product(double, blas.Trans, From[float64](a.Dense()), blas.NoTrans, From[float64](b.Dense()), 2, 0)
	for i := range single.Rows {
		for j, v := range single.Row(i) {
			if want := double.Row(i)[j]; math.Abs(float64(v)-want) > 1e-5 {
				t.Errorf("product [%d, %d] is %g in single precision, %g in double", i, j, v, want)
			}
		}
	}
	before := single.Clone()
	Product(single, blas.Trans, Matrix{}, blas.NoTrans, b, 1, 0)
	for i, v := range single.Data {
		if v != before.Data[i] {
			t.Fatalf("the product with an empty factor changed %g to %g", before.Data[i], v)
		}
	}
}

// TestMatrix: parts share what they are of, and copies do not.
func TestMatrix(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	m := random[float32](rng, 4, 5)
	both := Beside(m.ColumnsFrom(3, 2), m.ColumnsFrom(0, 3))
	turned := m.Transpose()
	for i := range m.Rows {
		for j, v := range m.Row(i) {
			if at := (j + 2) % 5; both.Row(i)[at] != v || turned.Row(j)[i] != v {
				t.Errorf("[%d, %d] is %g beside others and %g transposed, want %g", i, j, both.Row(i)[at], turned.Row(j)[i], v)
			}
		}
	}
	if alone := Beside(m, Matrix{}); alone.Cols != m.Cols {
		t.Errorf("beside nothing there are %d columns, want %d", alone.Cols, m.Cols)
	}
	was := m.Row(1)[2]
	m.Clone().Row(1)[2]++
	if m.Row(1)[2] != was {
		t.Error("a clone shares its data")
	}
	m.RowsFrom(1, 1).AddRow([]float32{0, 0, 1, 0, 0}, []float32{3})
	if m.Row(1)[2] != was+3 {
		t.Errorf("a row of which 3 was added to %g has %g", was, m.Row(1)[2])
	}
}

// TestRotate turns pairs of both arrangements by their angles.
func TestRotate(t *testing.T) {
	frequency := []float64{1, 0.1}
	for _, interleaved := range []bool{false, true} {
		m := New(3, 4)
		for i := range m.Data {
			m.Data[i] = 1
		}
		Rotate(m, frequency, interleaved)
		for position := range m.Rows {
			for i, omega := range frequency {
				re, im := i, i+2
				if interleaved {
					re, im = 2*i, 2*i+1
				}
				sin, cos := math.Sincos(omega * float64(position))
				row := m.Row(position)
				if math.Abs(float64(row[re])-(cos-sin)) > 1e-6 || math.Abs(float64(row[im])-(sin+cos)) > 1e-6 {
					t.Errorf("interleaved %v: pair %d at %d is (%g, %g), want (%g, %g)", interleaved, i, position, row[re], row[im], cos-sin, sin+cos)
				}
			}
		}
	}
}

// TestEach: all are called, and the first error comes back.
func TestEach(t *testing.T) {
	var calls atomic.Int64
	if err := Each(context.Background(), 100, func(int) error { calls.Add(1); return nil }); err != nil || calls.Load() != 100 {
		t.Errorf("%d calls and error %v, want 100 and none", calls.Load(), err)
	}
	broken := errors.New("broken")
	if err := Each(context.Background(), 100, func(i int) error { return broken }); err != broken {
		t.Errorf("the error is %v, want %v", err, broken)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(broken)
	if err := Each(ctx, 1, func(int) error { t.Error("called although cancelled"); return nil }); err != broken {
		t.Errorf("the error is %v, want the cause %v", err, broken)
	}
}

// TestSquares: norms and distances count the columns of a matrix, and not what stands between
// its rows.
func TestSquares(t *testing.T) {
	m := Matrix{Rows: 2, Cols: 2, Stride: 3, Data: []float32{1, 2, 100, 3, 4, 100}}
	other := Matrix{Rows: 2, Cols: 2, Stride: 2, Data: []float32{0, 0, 3, 6}}
	if got := m.SquaredNorm(); got != 30 {
		t.Errorf("squared norm %v, want 30", got)
	}
	if got := m.SquaredDistance(other); got != 9 {
		t.Errorf("squared distance %v, want 9", got)
	}
}
