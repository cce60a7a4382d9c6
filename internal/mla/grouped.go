package mla

import (
	"strconv"

	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/family"
)

// Grouped is GQA with fewer KV heads, each the mean of several: the oldest way
// to a smaller cache, for comparison.
type Grouped struct {
	KVHeads int          // G'
	from    family.Shape // whose G is a multiple of it
}

// NewGrouped lays out a model of shape s with the given number of KV heads.
func NewGrouped(s family.Shape, kvHeads int) *Grouped { return &Grouped{kvHeads, s} }

// About says what is written.
func (g *Grouped) About() string {
	return "grouped-query attention with fewer KV heads, each the mean of several. Every engine that\nloads the source loads it"
}

// Target describes the model that is written.
func (g *Grouped) Target(source *family.Model) *family.Model {
	t := *source
	t.KVHeads, t.Config, t.Source = g.KVHeads, nil, nil
	return &t
}

// Configure changes the number of KV heads.
func (g *Grouped) Configure(source, _ *family.Model) *family.Config {
	c := source.Config.Clone()
	c.Set("num_key_value_heads", g.KVHeads)
	return c
}

// TypedAs says that keys and values are computed.
func (g *Grouped) TypedAs(name string) (string, bool) {
	return name, name == family.KProj || name == family.VProj
}

// ResidualScale is 1: nothing around the attention changes.
func (g *Grouped) ResidualScale() float64 { return 1 }

// OwnHead says that there is no head: the target ties it as the source does.
func (g *Grouped) OwnHead() bool { return false }

// Facts lists the sizes.
func (g *Grouped) Facts(_, _ *family.Model) []Fact {
	return []Fact{{"num_key_value_heads", strconv.Itoa(g.from.KVHeads), strconv.Itoa(g.KVHeads)}}
}

// Flags ask for this conversion.
func (g *Grouped) Flags() []string {
	return []string{"--method", "gqa-mean", "--cache", strconv.Itoa(2 * g.KVHeads * g.from.HeadDim)}
}

// Convert converts a layer.
func (g *Grouped) Convert(a *Attention) (Converted, error) {
	D, mean := g.from.HeadDim, g.from.KVHeads/g.KVHeads
	_, d := a.Stack.Dims()
	pooled := mat.NewDense(2*g.KVHeads*D, d, nil)
	for head := range 2 * g.from.KVHeads { // keys, then values
		to := pooled.Slice(head/mean*D, (head/mean+1)*D, 0, d).(*mat.Dense)
		to.Add(to, a.Stack.Slice(head*D, (head+1)*D, 0, d))
	}
	pooled.Scale(1/float64(mean), pooled)
	kept, all := mat.Norm(pooled, 2), mat.Norm(a.Stack, 2)
	a.Stack = nil
	return &groupedLayer{pooled, ratio(float64(mean)*kept*kept, all*all)}, nil
}

// groupedLayer is the projections to keys and values, [2·G'·D × d].
type groupedLayer struct {
	stack  *mat.Dense
	energy float64
}

// Summary says what was kept.
func (l *groupedLayer) Summary() Summary { return Summary{Energy: l.energy} }

// Write writes keys and values.
func (l *groupedLayer) Write(_ calib.Projections, open func(name string) Sink) error {
	n, d := l.stack.Dims()
	if err := writeMatrix(open(family.KProj), l.stack.Slice(0, n/2, 0, d).(*mat.Dense)); err != nil {
		return err
	}
	return writeMatrix(open(family.VProj), l.stack.Slice(n/2, n, 0, d).(*mat.Dense))
}
