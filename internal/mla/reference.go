package mla

import (
	"errors"
	"strconv"

	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// Reference is the layout of the reference implementation of the MHA2MLA paper:
// its own state dict and config.mha2mla (design §7).
type Reference struct {
	family.PerHead
	maths Options
}

// NewReference lays out a model converted with o. RankFile names the file of
// rankings, which is needed where the choice of pairs has no other name in the
// configuration.
func NewReference(s family.Shape, o Options, rankFile string) *Reference {
	r := &Reference{family.PerHead{Rank: o.Rank, RopeDim: o.RopeDims, Split: o.Split, Version: string(o.Select)}, o}
	if o.Split {
		r.Rank /= 2
	}
	// the reference's uniform step is a whole number, or there are not dr of them
	even := o.Select == rope.Uniform && s.HeadDim%o.RopeDims == 0
	if o.Rankings != nil || !even && o.Select != rope.High && o.Select != rope.Low {
		r.Version, r.RankFile = family.ByRank, rankFile
	}
	return r
}

// About says what is written.
func (r *Reference) About() string {
	return "multi-head latent attention in the form of the MHA2MLA authors' code, which patches a\nmodelling class to run or fine-tune it. Stock engines do not load it"
}

// Target describes the model that is written.
func (r *Reference) Target(source *family.Model) *family.Model {
	t := *source
	t.PerHead, t.Config, t.Source = &r.PerHead, nil, nil
	return &t
}

// Configure adds what the reference's code looks for.
func (r *Reference) Configure(source, target *family.Model) *family.Config {
	c := source.Config.Clone()
	c.Delete("auto_map", "quantization_config")
	c.SetPerHead(&r.PerHead, source.KVHeads)
	return c
}

// TypedAs says which tensors are computed.
func (r *Reference) TypedAs(name string) (string, bool) {
	switch name {
	case family.InputNorm, family.OBias:
		return "", false
	case family.QBias:
		return family.QBias, true
	case family.KRBias, family.UpKBias:
		return family.KBias, true
	case family.UpVBias:
		return family.VBias, true
	case family.OProj:
		return family.OProj, r.maths.Heal != 0
	case family.QProj:
		return family.QProj, true
	case family.DownV, family.UpV:
		return family.VProj, true
	default:
		return family.KProj, true
	}
}

// ResidualScale is 1: nothing around the attention changes.
func (r *Reference) ResidualScale() float64 { return 1 }

// OwnHead says that there is a head: the reference loads with all names required.
func (r *Reference) OwnHead() bool { return true }

// Facts lists the sizes.
func (r *Reference) Facts(source, _ *family.Model) []Fact {
	svd := "joint"
	if r.Split {
		svd = "split"
	}
	return []Fact{
		{"low_rank", "", strconv.Itoa(r.Rank / source.KVHeads)},
		{"rope_dim_for_mla", strconv.Itoa(source.HeadDim), strconv.Itoa(r.RopeDim)},
		{"partial_rope_version", "", r.Version},
		{"svd_init_method", "", svd},
	}
}

// Flags ask for this conversion.
func (r *Reference) Flags() []string {
	words := append([]string{"--layout", string(FormReference)}, r.maths.mathsFlags()...)
	if r.Split {
		words = append(words, "--svd", "split")
	}
	return words
}

// Convert converts a layer.
func (r *Reference) Convert(a *Attention) (Converted, error) {
	l, err := a.ConvertPerHead(r.maths)
	return &referenceLayer{r, l}, err
}

// referenceLayer is a layer in the reference's form.
type referenceLayer struct {
	*Reference
	*HeadLayer
}

// Summary says what was kept.
func (l *referenceLayer) Summary() Summary {
	return Summary{Energy: l.Energy, Pairs: l.Keys.Kept, Ranking: l.Keys.Ranking, Fallback: l.Fallback}
}

// Write writes the tensors. Of the queries the rotary rows of all heads come
// first, then the content rows of all heads; the norm stays as it is, and so does
// the output projection unless layers are healed.
func (l *referenceLayer) Write(p calib.Projections, open func(name string) Sink) error {
	s := p.Shape()
	err := writeTensor(open(family.QProj), s.Hidden, func(out *rowWriter) error {
		for _, rotary := range []bool{true, false} {
			for h := range s.Heads {
				if err := l.query(p, h, rotary, out); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	tensors := []struct {
		name string
		m    *mat.Dense
	}{{family.KRProj, l.Rotary}, {family.UpK, l.UpK}, {family.UpV, l.UpV}, {family.DownKV, l.DownK}, {family.DownV, l.DownV}}
	if l.Split {
		tensors[3].name = family.DownK
	} else {
		tensors = tensors[:4]
	}
	for _, t := range tensors {
		if err := writeMatrix(open(t.name), t.m); err != nil {
			return err
		}
	}
	if err := l.writeBiases(s, open); err != nil || l.maths.Heal == 0 {
		return err
	}
	return l.output(p, open(family.OProj))
}

// writeBiases writes the biases, if there are any: the source's, where their rows are.
func (l *referenceLayer) writeBiases(s family.Shape, open func(name string) Sink) error {
	if l.Biases == nil {
		return nil
	}
	var query, rotary, content []float64
	for _, wantRotary := range []bool{true, false} {
		for h := range s.Heads {
			rows, still := headRows(l.Keys.Kept[s.KVHead(h)], s.HeadDim)
			bias := l.Biases.Query[h*s.HeadDim : (h+1)*s.HeadDim]
			if !wantRotary {
				rows, bias = still, l.Rest[h].Turn(asVector(bias)).RawMatrix().Data
			}
			query = appendRows(query, bias, rows)
		}
	}
	for g, kept := range l.Keys.Kept {
		turning, still := headRows(kept, s.HeadDim)
		rotary = appendRows(rotary, l.Biases.Key[g*s.HeadDim:], turning)
		content = appendRows(content, l.Biases.Key[g*s.HeadDim:], still)
	}
	return errors.Join(writeVector(open(family.QBias), query), writeVector(open(family.KRBias), rotary),
		writeVector(open(family.UpKBias), content), writeVector(open(family.UpVBias), l.Biases.Value))
}

// appendRows appends the given elements of from.
func appendRows(to, from []float64, rows []int) []float64 {
	for _, row := range rows {
		to = append(to, from[row])
	}
	return to
}

// query writes the rotary or the content rows of the query of head h.
func (l *referenceLayer) query(p calib.Projections, h int, wantRotary bool, out *rowWriter) error {
	rows, content, err := l.headQuery(p, h)
	if !wantRotary {
		rows = content
	}
	if err != nil || rows == nil {
		return err
	}
	n, _ := rows.Dims()
	return out.rows(rows, 1, 1, n)
}

// headQuery returns the rows of the query of head h, [dr × d] and [D−dr × d]; nil if
// there are none.
func (l *referenceLayer) headQuery(p calib.Projections, h int) (rotary, content *mat.Dense, err error) {
	s := p.Shape()
	turning, still := headRows(l.Keys.Kept[s.KVHead(h)], s.HeadDim)
	if l.healed == nil {
		q, err := p.Query(h)
		if err != nil {
			return nil, nil, err
		}
		return gather(q, turning), gather(l.Rest[h].Turn(q), still), nil
	}
	q, n := l.healed.Query, h*s.HeadDim+len(still)
	if len(still) > 0 {
		content = q.Slice(h*s.HeadDim, n, 0, s.Hidden).(*mat.Dense)
	}
	return q.Slice(n, n+len(turning), 0, s.Hidden).(*mat.Dense), content, nil
}

// output writes o_proj, which changes if layers are healed.
func (l *referenceLayer) output(p calib.Projections, sink Sink) error {
	rows, err := outputRows(p, l.healed, 0, p.Shape().Hidden)
	if err != nil {
		return err
	}
	return writeMatrix(sink, rows)
}

// writeMatrix writes m, which is nil if it has no rows.
func writeMatrix(sink Sink, m *mat.Dense) error {
	if m == nil {
		return sink.Close()
	}
	n, c := m.Dims()
	return writeTensor(sink, c, func(out *rowWriter) error { return out.rows(m, 1, 1, n) })
}
