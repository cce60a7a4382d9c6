package layout

import (
	"strconv"

	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/mla"
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

// Convert converts a layer.
func (g *Grouped) Convert(a *mla.Attention) (Converted, error) {
	return &groupedLayer{a.Pool(g.KVHeads)}, nil
}

// groupedLayer is a layer in this layout.
type groupedLayer struct{ layer *mla.Pooled }

// Summary says what was kept.
func (l *groupedLayer) Summary() Summary { return Summary{Energy: l.layer.Energy} }

// Write writes keys and values.
func (l *groupedLayer) Write(open func(name string) Sink) error {
	if err := writeMatrix(open(family.KProj), l.layer.Keys); err != nil {
		return err
	}
	return writeMatrix(open(family.VProj), l.layer.Values)
}
