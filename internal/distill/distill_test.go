package distill

import (
	"context"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/latent"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

const stories = "../../testdata/stories260k"

// exact returns the attention of a layer in the form that is trained, but for rounding: every
// KV head has a rotary key of its own with all pairs in it, and the latent is all values.
func exact(t *testing.T, m *family.Model, n int) *latent.Layer[float32] {
	t.Helper()
	a, rows := m.Attention(n), m.KVHeads*m.HeadDim
	both, err := a.KeyValue()
	if err != nil {
		t.Fatal(err)
	}
	output, err := a.OutputRows(0, m.Hidden)
	if err != nil {
		t.Fatal(err)
	}
	w := &latent.Weights{
		Heads: m.Heads, KeyHeads: m.KVHeads, Output: output, Scale: 1 / math.Sqrt(float64(m.HeadDim)),
		Query:  mat.NewDense(m.Heads*m.HeadDim, m.Hidden, nil),
		Rotary: mat.DenseCopyOf(both.Slice(0, rows, 0, m.Hidden)), DownK: mat.DenseCopyOf(both.Slice(rows, 2*rows, 0, m.Hidden)),
		UpV: mat.NewDense(rows, rows, nil),
	}
	for i := range rows {
		w.UpV.Set(i, i, 1)
	}
	for range m.KVHeads {
		w.Frequencies = append(w.Frequencies, m.Rotary())
	}
	for h := range m.Heads {
		q, err := a.Query(h)
		if err != nil {
			t.Fatal(err)
		}
		w.Query.Slice(h*m.HeadDim, (h+1)*m.HeadDim, 0, m.Hidden).(*mat.Dense).Copy(q)
	}
	return latent.New[float32](w)
}

// disturbed returns the exact layers of a model, each number off by a normal part of it.
func disturbed(t *testing.T, m *family.Model, part float64) []*latent.Layer[float32] {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	var layers []*latent.Layer[float32]
	for n := range m.Layers {
		l := exact(t, m, n)
		for _, tensor := range l.Tensors() {
			for i := range tensor.Data {
				tensor.Data[i] *= float32(1 + part*rng.NormFloat64())
			}
		}
		layers = append(layers, l)
	}
	return layers
}

// windows draws windows of random tokens, of different lengths.
func windows(m *family.Model, n int) tokens.Windows {
	var all tokens.Windows
	for i := range n {
		all = append(all, testmodel.Tokens(20+i%3, m.Vocab, uint64(i)))
	}
	return all
}

// TestExact: what computes the same as the source diverges by nothing.
func TestExact(t *testing.T) {
	m := testmodel.Open(t, stories)
	d := &Distiller{Model: m, Windows: windows(m, 4)}
	r, err := d.Train(context.Background(), disturbed(t, m, 0))
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(r.Before) > 1e-6 || r.After != r.Before || r.Tokens != 22 {
		t.Errorf("no step made %+v", r)
	}
}

// TestRecovers: layers that were disturbed learn to do what the source does, the same whatever
// the number of processors.
func TestRecovers(t *testing.T) {
	m := testmodel.Open(t, stories)
	train := func(processors int) (*Result, []*latent.Layer[float32]) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
		d := &Distiller{Model: m, Windows: windows(m, 40), Steps: 30}
		layers := disturbed(t, m, 0.3)
		r, err := d.Train(context.Background(), layers)
		if err != nil {
			t.Fatal(err)
		}
		return r, layers
	}
	r, layers := train(2)
	if r.Steps != 30 || !(r.Before > 0.05) || !(r.After < 0.5*r.Before) {
		t.Errorf("trained %+v", r)
	}
	again, same := train(1)
	if *again != *r {
		t.Errorf("one processor makes %+v of it, two %+v", again, r)
	}
	for n, l := range layers {
		other := same[n].Tensors()
		for k, tensor := range l.Tensors() {
			if tensor.SquaredDistance(other[k].General) != 0 {
				t.Fatalf("layer %d: %s depends on the number of processors", n, tensor.Name)
			}
		}
	}
}

// TestTakenBack: training that does not help on the tokens held out changes nothing.
func TestTakenBack(t *testing.T) {
	m := testmodel.Open(t, stories)
	layers := disturbed(t, m, 0)
	d := &Distiller{Model: m, Windows: windows(m, 4), Steps: 1}
	r, err := d.Train(context.Background(), layers)
	if err != nil {
		t.Fatal(err)
	}
	if r.Steps != 0 || r.After != r.Before {
		t.Errorf("trained %+v", r)
	}
	for n, l := range disturbed(t, m, 0) {
		for k, tensor := range l.Tensors() {
			if tensor.SquaredDistance(layers[n].Tensors()[k].General) != 0 {
				t.Fatalf("layer %d: %s changed", n, tensor.Name)
			}
		}
	}
}

// TestDescent holds the gradient of the whole loss, divergence and streams, against its
// differences along a random direction in every tensor of the first and the last layer.
func TestDescent(t *testing.T) {
	m := testmodel.Open(t, stories)
	ctx, layers := context.Background(), disturbed(t, m, 0.3)
	tr, err := (&Distiller{Model: m, Windows: windows(m, 3)}).begin(layers)
	if err != nil {
		t.Fatal(err)
	}
	some := []int{0, 2}
	gradients := make([]*latent.Layer[float32], m.Layers)
	_, err = tr.gradients(ctx, some, func(n int, g *latent.Layer[float32]) { gradients[n] = g })
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{0, m.Layers - 1} {
		for k, tensor := range layers[n].Tensors() {
			direction, slope := f32.New(tensor.Rows, tensor.Cols), 0.0
			for i := range direction.Data {
				direction.Data[i] = float32(rng.NormFloat64()) + 2*sign(gradients[n].Tensors()[k].Data[i])
				slope += float64(direction.Data[i]) * float64(gradients[n].Tensors()[k].Data[i])
			}
			start, h := tensor.Clone(), float32(3e-4)
			var side [2]float64
			for s, step := range []float32{h, -h} {
				for i, v := range start.Data {
					tensor.Data[i] = v + step*direction.Data[i]
				}
				side[s] = tr.loss(t, some)
			}
			tensor.CopyFrom(start)
			if got := (side[0] - side[1]) / (2 * float64(h)); math.Abs(got-slope) > 0.02*math.Abs(slope) {
				t.Errorf("layer %d, %s: the loss changes by %g, the gradient says %g", n, tensor.Name, got, slope)
			}
		}
	}
}

// sign returns the sign of x.
func sign(x float32) float32 {
	if x < 0 {
		return -1
	}
	return 1
}

// loss returns the divergence and the weighted error of the streams of windows, written out.
func (t *training) loss(test *testing.T, windows []int) float64 {
	test.Helper()
	p, err := t.forward(context.Background(), windows)
	if err != nil {
		test.Fatal(err)
	}
	source, err := t.runSource(context.Background(), windows)
	if err != nil {
		test.Fatal(err)
	}
	loss, _ := t.head.compare(p.out, source[len(source)-1], false)
	streams := append(p.inputs[1:len(p.inputs):len(p.inputs)], p.out)
	for n, x := range streams {
		s := source[n]
		for i := range x.Rows {
			off, size := 0.0, 0.0
			for j, v := range x.Row(i) {
				d := float64(v) - float64(s.Row(i)[j])
				off += d * d
				size += float64(s.Row(i)[j]) * float64(s.Row(i)[j])
			}
			loss += streamWeight * off / size / float64(len(streams)*x.Rows)
		}
	}
	return loss
}
