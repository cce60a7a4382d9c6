package calib_test

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// attention makes a model and returns its first layer and that layer's stack.
func attention(t *testing.T, m testmodel.Llama) (*family.Attention, *mat.Dense) {
	t.Helper()
	a := m.Open(t).Attention(0)
	stack, err := a.KeyValue()
	if err != nil {
		t.Fatal(err)
	}
	return a, stack
}

func near(got, want float64) bool { return math.Abs(got-want) <= 1e-10*math.Abs(want) }

// TestDataFree holds every statistic against its definition, written out. The
// hidden size is above the number of rows of W_o that are read at a time.
func TestDataFree(t *testing.T) {
	p, stack := attention(t, testmodel.Llama{Hidden: 260, Heads: 4, KVHeads: 2, HeadDim: 6, Layers: 1})
	l, err := calib.DataFree(p, stack, 128)
	if err != nil {
		t.Fatal(err)
	}
	gamma, err := p.Norm()
	if err != nil {
		t.Fatal(err)
	}
	// E[(a·x)(b·x)] for x of covariance diag(γ²)
	product := func(a, b mat.Vector) float64 {
		sum := 0.0
		for j, g := range gamma {
			sum += a.AtVec(j) * b.AtVec(j) * g * g
		}
		return sum
	}
	q, err := p.Query(3)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := l.Queries[3].At(1, 4), product(q.RowView(1), q.RowView(4)); !near(got, want) {
		t.Errorf("query covariance %g, want %g", got, want)
	}
	if got, want := l.Keys.At(2, 9), product(stack.RowView(2), stack.RowView(9)); !near(got, want) {
		t.Errorf("key covariance across heads %g, want %g", got, want)
	}
	if got, want := l.Values[1].At(0, 5), product(stack.RowView(18), stack.RowView(23)); !near(got, want) {
		t.Errorf("value covariance %g, want %g", got, want)
	}
	o, err := p.OutputRows(0, 260)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := l.Outputs[2].At(1, 3), mat.Dot(o.ColView(13), o.ColView(15)); !near(got, want) {
		t.Errorf("output product %g, want %g", got, want)
	}
	if got, want := l.Moments().Query[3][1], product(q.RowView(1), q.RowView(1))+product(q.RowView(4), q.RowView(4)); !near(got, want) {
		t.Errorf("query energy of a pair %g, want %g", got, want)
	}
	// E‖W_o v‖² of head 3, whose KV head is 1
	energy := 0.0
	for a := range 6 {
		for b := range 6 {
			energy += l.Outputs[3].At(a, b) * l.Values[1].At(a, b)
		}
	}
	if got := l.OutputEnergy(3); !near(got, energy) {
		t.Errorf("output energy %g, want %g", got, energy)
	}
}

// TestWeights: the blocks add up over the query heads of a KV head, and scores
// count less where they are large.
func TestWeights(t *testing.T) {
	p, stack := attention(t, testmodel.Llama{KVHeads: 2, Layers: 1})
	l, err := calib.DataFree(p, stack, 128)
	if err != nil {
		t.Fatal(err)
	}
	sigma, blocks := l.ScoreWeights(), l.Weights(make([]rope.Rest, l.Heads), 1)
	if len(blocks) != 4 {
		t.Fatalf("%d blocks", len(blocks))
	}
	want := (sigma[2]*l.Queries[2].At(0, 1) + sigma[3]*l.Queries[3].At(0, 1)) / 8
	if got := blocks[1].At(0, 1); !near(got, want) {
		t.Errorf("key block %g, want %g", got, want)
	}
	if got, want := blocks[3].At(0, 1), l.Outputs[2].At(0, 1)+l.Outputs[3].At(0, 1); !near(got, want) {
		t.Errorf("value block %g, want %g", got, want)
	}
	for h := range sigma {
		if sigma[h] <= 0 || sigma[h] >= l.OutputEnergy(h) {
			t.Errorf("score weight of head %d is %g of %g", h, sigma[h], l.OutputEnergy(h))
		}
	}
	for _, q := range l.Queries { // larger scores saturate the softmax
		q.ScaleSym(100, q)
	}
	for h, s := range l.ScoreWeights() {
		if s >= sigma[h] {
			t.Errorf("score weight of head %d rose to %g", h, s)
		}
	}
}
