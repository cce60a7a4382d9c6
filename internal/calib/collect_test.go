package calib

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/forward"
	"github.com/mha2mla/mha2mla/internal/rope"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

var small = testmodel.Llama{Hidden: 20, Heads: 4, KVHeads: 2, HeadDim: 6, Layers: 2}

// windowsOf cuts random tokens into windows of the given lengths.
func windowsOf(m *family.Model, seed uint64, lengths ...int) tokens.Windows {
	var windows tokens.Windows
	for i, n := range lengths {
		windows = append(windows, testmodel.Tokens(n, m.Vocab, seed+uint64(i)))
	}
	return windows
}

// collect gathers the sums of every layer.
func collect(t *testing.T, m *family.Model, windows tokens.Windows) []*Sums {
	t.Helper()
	var all []*Sums
	err := Collect(context.Background(), m, Text{Kept: windows}, nil, func(layer int, sums *Sums) error {
		if layer != len(all) {
			t.Errorf("layer %d after %d", layer, len(all))
		}
		all = append(all, sums)
		return nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// naive computes the sums of the first layer from their definitions.
func naive(t *testing.T, m *family.Model, windows tokens.Windows) *Sums {
	t.Helper()
	a, d := m.Attention(0), forward.Decoder{Model: m}
	s := newSums(m, windows.Longest())
	gamma, err := a.Norm()
	if err != nil {
		t.Fatal(err)
	}
	stack, err := a.KeyValue()
	if err != nil {
		t.Fatal(err)
	}
	wo, err := a.OutputRows(0, m.Hidden)
	if err != nil {
		t.Fatal(err)
	}
	D, J, G := m.HeadDim, m.HeadDim/2, m.KVHeads
	omega := rope.Frequencies(m.RopeTheta, D)
	turned := func(w mat.Matrix, x mat.Vector, position int) []complex128 {
		var y mat.VecDense
		y.MulVec(w, x)
		z := make([]complex128, J)
		for i := range z {
			sin, cos := math.Sincos(omega[i] * float64(position))
			z[i] = complex(y.AtVec(i), y.AtVec(i+J)) * complex(cos, sin)
		}
		return z
	}
	for _, tokens := range windows {
		embedded, err := d.Embed(tokens)
		if err != nil {
			t.Fatal(err)
		}
		x := make([]*mat.VecDense, len(tokens))
		for i := range x {
			row := make([]float64, m.Hidden)
			square := 0.0
			for j := range row {
				row[j] = float64(embedded.Data[i*m.Hidden+j])
				square += row[j] * row[j] / float64(m.Hidden)
			}
			for j := range row {
				row[j] *= gamma[j] / math.Sqrt(square+m.NormEps)
				s.Mean[j] += row[j]
			}
			x[i] = mat.NewVecDense(m.Hidden, row)
			s.Input.SymRankOne(s.Input, 1, x[i])
			s.Tokens++
			for g := range G {
				for p, z := range turned(stack.Slice(g*D, (g+1)*D, 0, m.Hidden), x[i], i) {
					s.KeyNorms[g*J+p] += math.Hypot(real(z), imag(z))
				}
			}
		}
		for h := range m.Heads {
			g := m.Shape().KVHead(h)
			wq, err := a.Query(h)
			if err != nil {
				t.Fatal(err)
			}
			head := wo.Slice(0, m.Hidden, h*D, (h+1)*D)
			var k [][]complex128
			var out []*mat.VecDense // W_o v
			for i := range x {
				k = append(k, turned(stack.Slice(g*D, (g+1)*D, 0, m.Hidden), x[i], i))
				var v, o mat.VecDense
				v.MulVec(stack.Slice((G+g)*D, (G+g+1)*D, 0, m.Hidden), x[i])
				o.MulVec(head, &v)
				out = append(out, &o)
			}
			for i := range x {
				q := turned(wq, x[i], i)
				p, sum := make([]float64, i+1), 0.0
				for j := range p {
					score := 0.0
					for c := range q {
						score += real(q[c])*real(k[j][c]) + imag(q[c])*imag(k[j][c])
					}
					p[j] = math.Exp(score / math.Sqrt(float64(D)))
					sum += p[j]
				}
				for c, z := range q {
					s.QueryNorms[h*J+c] += math.Hypot(real(z), imag(z))
				}
				mean := mat.NewVecDense(m.Hidden, nil)
				for j := range p {
					p[j] /= sum
					mean.AddScaledVec(mean, p[j], out[j])
				}
				for j := range p {
					var off mat.VecDense
					off.SubVec(out[j], mean)
					s.Distances[i-j] += p[j]
					s.Values[h] += p[j] * p[j]
					s.Scores[h] += p[j] * p[j] * mat.Dot(&off, &off)
					s.HeadDistances[h*windows.Longest()+i-j] += p[j] * p[j] * mat.Dot(&off, &off)
					s.Attended.SymRankOne(s.Attended, p[j]*p[j], x[j])
				}
			}
		}
	}
	return s
}

// compare holds sums against each other.
func compare(t *testing.T, got, want *Sums, tolerance float64) {
	t.Helper()
	near := func(name string, a, b []float64) {
		t.Helper()
		if len(a) != len(b) {
			t.Fatalf("%s: %d values, want %d", name, len(a), len(b))
		}
		largest := 0.0
		for _, v := range b {
			largest = max(largest, math.Abs(v))
		}
		for i := range a {
			if !(math.Abs(a[i]-b[i]) <= tolerance*largest) {
				t.Fatalf("%s[%d] is %g, want %g", name, i, a[i], b[i])
			}
		}
	}
	if got.Tokens != want.Tokens {
		t.Errorf("%g tokens, want %g", got.Tokens, want.Tokens)
	}
	theirs := want.vectors()
	for name, v := range got.vectors() {
		near(name, v, theirs[name])
	}
	moments := want.moments()
	for name, m := range got.moments() {
		near(name, triangle(m), triangle(moments[name]))
	}
}

func triangle(m *mat.SymDense) []float64 {
	var all []float64
	for i := range m.SymmetricDim() {
		for j := i; j < m.SymmetricDim(); j++ {
			all = append(all, m.At(i, j))
		}
	}
	return all
}

// TestCollect holds every sum against its definition, written out. One window is longer
// than the block of queries.
func TestCollect(t *testing.T) {
	m := small.Open(t)
	windows := windowsOf(m, 1, 30, 7, f32.QueriesAtOnce+22, 2)
	compare(t, collect(t, m, windows)[0], naive(t, m, windows), 1e-4)
}

// TestLengthen: sums by head and distance keep their heads and distances in longer
// windows, in whatever order they are added.
func TestLengthen(t *testing.T) {
	of := func(window int, v ...float64) *Sums {
		zero := mat.NewSymDense(1, nil)
		return &Sums{Input: zero, Attended: zero, Distances: make([]float64, window), Scores: make([]float64, 2), HeadDistances: v}
	}
	for name, s := range map[string][2]*Sums{
		"the longer to the shorter": {of(1, 1, 2), of(3, 10, 20, 30, 40, 50, 60)},
		"the shorter to the longer": {of(3, 10, 20, 30, 40, 50, 60), of(1, 1, 2)},
	} {
		s[0].Add(s[1])
		if want := []float64{11, 20, 30, 42, 50, 60}; !slices.Equal(s[0].HeadDistances, want) {
			t.Errorf("%s: %v, want %v", name, s[0].HeadDistances, want)
		}
	}
}

// TestAdd: sums of parts are the sums of the whole.
func TestAdd(t *testing.T) {
	m := small.Open(t)
	windows := windowsOf(m, 1, 9, 30, 7, 12)
	whole, a, b := collect(t, m, windows), collect(t, m, windows[:1]), collect(t, m, windows[1:])
	for n := range whole {
		a[n].Add(b[n])
		compare(t, a[n], whole[n], 1e-12)
	}
}

// TestProcessors: sums do not depend on how many processors there are, to the last bit.
func TestProcessors(t *testing.T) {
	m := small.Open(t)
	windows := windowsOf(m, 1, f32.QueriesAtOnce+30, momentTokens+7)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	one := collect(t, m, windows)
	runtime.GOMAXPROCS(5)
	for n, sums := range collect(t, m, windows) {
		compare(t, sums, one[n], 0)
	}
}

// TestFile writes, reads and merges statistics.
func TestFile(t *testing.T) {
	m := small.Open(t)
	windows := windowsOf(m, 1, 9, 30, 7, 12)
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	gather := func(name string, windows tokens.Windows, add ...*File) error {
		_, err := Gather(context.Background(), m, Text{Kept: windows}, add, path(name), false, nil)
		return err
	}
	open := func(name string) *File {
		f, err := Open(path(name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	for name, part := range map[string]tokens.Windows{"whole": windows, "a": windows[:1], "b": windows[1:]} {
		if err := gather(name, part); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(gather("b+a", windows[1:], open("a")), gather("a+b", nil, open("a"), open("b"))); err != nil {
		t.Fatal(err)
	}
	want := collect(t, m, windows)
	merged, err := Merge(m, []*File{open("b"), open("a")})
	if err != nil {
		t.Fatal(err)
	}
	for n := range m.Layers {
		for name, r := range map[string]Reader{"whole": open("whole"), "b+a": open("b+a"), "a+b": open("a+b"), "merged": merged} {
			got, err := r.Sums(n)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			compare(t, got, want[n], 1e-12)
			if len(got.Sample) == 0 || got.Sample[0].Cols != m.Hidden {
				t.Errorf("%s: no sample", name)
			}
		}
	}
	if info := merged.Info(); info.Tokens != 58 || info.Window != 30 || len(info.Data) != 2 {
		t.Errorf("merged info %+v", info)
	}
	var format *checkpoint.FormatError
	if err := gather("twice", windows[:1], open("a")); !errors.As(err, &format) {
		t.Errorf("the same tokens twice: %v", err)
	}
	if _, err := Merge(m, []*File{open("a"), open("a+b")}); !errors.As(err, &format) {
		t.Errorf("the same tokens in two files: %v", err)
	}
	other := small
	other.Seed = 9
	if err := open("a").For(other.Open(t)); !errors.As(err, &format) {
		t.Errorf("another checkpoint: %v", err)
	}
	if _, err := Open(m.Source.Files()[0]); !errors.As(err, &format) {
		t.Errorf("a checkpoint taken for statistics: %v", err)
	}
}

// TestNotFinite: weights that compute NaN are refused.
func TestNotFinite(t *testing.T) {
	bad := small
	bad.Poison = map[string]float64{family.InLayer(0, family.DownProj): math.NaN()}
	m := bad.Open(t)
	windows := windowsOf(m, 1, 9)
	path := filepath.Join(t.TempDir(), "model.stats")
	var format *checkpoint.FormatError
	if _, err := Gather(context.Background(), m, Text{Kept: windows}, nil, path, false, nil); !errors.As(err, &format) {
		t.Errorf("got %v", err)
	}
	if left, _ := filepath.Glob(filepath.Dir(path) + "/*"); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// TestFew: fewer tokens than dimensions, the same token again and again, and a dead
// head give finite statistics.
func TestFew(t *testing.T) {
	m := small.Open(t)
	for name, windows := range map[string]tokens.Windows{"two tokens": {{1, 2}}, "one token": {{3, 3, 3, 3, 3, 3}}} {
		sums := collect(t, m, windows)[0]
		p := m.Attention(0)
		stack, err := p.KeyValue()
		if err != nil {
			t.Fatal(err)
		}
		l, err := Observed(p, stack, sums, Shrinkage)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, w := range l.Weights(make([]rope.Rest, l.Heads), 1) {
			if v := mat.Norm(w, 2); math.IsNaN(v) || math.IsInf(v, 0) {
				t.Errorf("%s: weights %v", name, v)
			}
		}
		if e := l.Energy(); !(e > 0) || !l.Calibrated() {
			t.Errorf("%s: energy %v", name, e)
		}
	}
}
