package layout

import (
	"strconv"

	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/mla"
)

// Grouped is GQA with fewer KV heads, each the mean of several (Ainslie et al. 2023; design
// §7). It is the oldest way to a smaller cache, for comparison.
type Grouped struct {
	KVHeads int          // G'
	from    family.Shape // shape of the source, whose G is a multiple of G'
}

// NewGrouped lays out a model of shape s with the given number of KV heads, which must
// divide that of s.
func NewGrouped(s family.Shape, kvHeads int) *Grouped { return &Grouped{kvHeads, s} }

// About describes the layout for the model card.
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

// TypedAs is true for keys and values, which alone are computed. They keep their types.
func (g *Grouped) TypedAs(name string) (string, bool) {
	return name, name == family.KProj || name == family.VProj
}

// ResidualScale returns 1, because nothing around the attention changes.
func (g *Grouped) ResidualScale() float64 { return 1 }

// OwnHead returns false, because the target ties its head as the source does.
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

// Summary says how much of the layer was kept.
func (l *groupedLayer) Summary() Summary { return Summary{Energy: l.layer.Energy} }

// Write writes keys and values.
func (l *groupedLayer) Write(open func(name string) Sink) error {
	if err := writeMatrix(open(family.KProj), l.layer.Keys); err != nil {
		return err
	}
	return writeMatrix(open(family.VProj), l.layer.Values)
}
