package mla

import (
	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/lowrank"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// HeadLayer is an attention layer with latent attention and a rotary key for every KV head
// (design §4). Of the D rows of a head, dr are rotary: those of the pairs i of Keys.Kept,
// first rows i and then rows i+J, both ascending. The others are content. For an attention
// input x the rotary keys of all KV heads are Rotary·x, their content keys UpK·DownK·x and
// their values UpV·DownV·x. Queries come from Heads. Scores keep the scale 1/√D.
type HeadLayer struct {
	Source *Attention // the layer that was converted; its stack is used up

	Heads        Heads
	Keys         *rope.HeadKeys
	Rotary       *mat.Dense // [G·dr × d]
	DownK, DownV *mat.Dense // [r × d] with rows of unit length; one matrix unless split
	UpK          *mat.Dense // [G·(D−dr) × r]; nil if there is no content
	UpV          *mat.Dense // [G·D × r]
	Energy       float64    // share of the stack's energy, in its measure, that the ranks keep
	Fallback     bool       // see Layer

	Constants *HeadConstants // nil if there are no biases
}

// HeadConstants are the biases of a HeadLayer: those of the source, in the order of the
// rows.
type HeadConstants struct {
	ContentQuery, RotaryQuery [][]float64 // [H] of [D−dr] and of [dr]
	ContentKey, RotaryKey     []float64   // [G·(D−dr)] and [G·dr]
	Value                     []float64   // [G·D]
}

// HeadKeys chooses the pairs that each KV head keeps, by a ranking of the options or by their
// strategy (design §4).
func (a *Attention) HeadKeys(o Options) *rope.HeadKeys {
	slots := o.RopeDims / 2
	ranking := o.ranking(a.layer)
	if ranking == nil {
		ranking = o.Select.Rank(a.moments, a.Frequencies, slots)
	}
	return rope.KeepPerHead(a.moments, a.Frequencies, ranking, slots)
}

// headRows returns which rows of a head of dim rows are rotary if the given pairs are kept,
// and which are content, each ascending.
func headRows(kept []int, dim int) (rotary, content []int) {
	turns := make([]bool, dim)
	for _, i := range kept {
		turns[i], turns[i+dim/2] = true, true
	}
	for row, yes := range turns {
		if yes {
			rotary = append(rotary, row)
		} else {
			content = append(content, row)
		}
	}
	return rotary, content
}

// gather returns the given rows of m, or nil if there are none.
func gather(m *mat.Dense, rows []int) *mat.Dense {
	if len(rows) == 0 {
		return nil
	}
	_, c := m.Dims()
	g := mat.NewDense(len(rows), c, nil)
	for i, row := range rows {
		g.SetRow(i, m.RawRowView(row))
	}
	return g
}

// keyRows returns the rows of the stack that are rotary keys of some KV head, and
// those that are content keys.
func (a *Attention) keyRows(keys *rope.HeadKeys) (rotary, content []int) {
	for g, kept := range keys.Kept {
		r, c := headRows(kept, a.Stats.HeadDim)
		for _, row := range r {
			rotary = append(rotary, g*a.Stats.HeadDim+row)
		}
		for _, row := range c {
			content = append(content, g*a.Stats.HeadDim+row)
		}
	}
	return rotary, content
}

// contentProblems states the factorisation of content keys and values under the measure w.
// It is one problem, or if they are split, one for the keys and one for the values.
func (a *Attention) contentProblems(keys *rope.HeadKeys, w Weights, split bool) []lowrank.Problem {
	_, content := a.keyRows(keys)
	var values []int
	for row := range a.Stats.KVHeads * a.Stats.HeadDim {
		values = append(values, a.Stats.KVHeads*a.Stats.HeadDim+row)
	}
	whole := a.problem(nil, w, 1)
	keyBlocks, valueBlocks := whole.Left, whole.Left
	if len(whole.Left) > 0 {
		keyBlocks, valueBlocks = nil, whole.Left[a.Stats.KVHeads:]
		for g, kept := range keys.Kept {
			_, rows := headRows(kept, a.Stats.HeadDim)
			if len(rows) > 0 {
				keyBlocks = append(keyBlocks, principal(whole.Left[g], rows))
			}
		}
	}
	part := func(rows []int, blocks []*mat.SymDense) lowrank.Problem {
		return lowrank.Problem{Stack: gather(a.Stack, rows), Left: blocks, Right: whole.Right}
	}
	if split {
		return []lowrank.Problem{part(content, keyBlocks), part(values, valueBlocks)}
	}
	return []lowrank.Problem{part(append(content, values...), append(keyBlocks, valueBlocks...))}
}

// principal returns the given rows and columns of m.
func principal(m *mat.SymDense, rows []int) *mat.SymDense {
	p := mat.NewSymDense(len(rows), nil)
	for i, x := range rows {
		for j := i; j < len(rows); j++ {
			p.SetSym(i, j, m.At(x, rows[j]))
		}
	}
	return p
}

// ConvertPerHead converts the layer to one with a rotary key for every KV head (design §4 and
// §5). The rank of the options is divided between keys and values if they are split. It uses
// up a.Stack. It is a linalg.NumericError if the weights cannot be computed with.
func (a *Attention) ConvertPerHead(o Options) (*HeadLayer, error) {
	l := &HeadLayer{Source: a, Keys: a.HeadKeys(o)}
	l.Heads = &perHeadForm{source: a.Projections, keys: l.Keys, rest: a.rest}
	l.Constants = a.headConstants(l.Keys)
	rotary, content := a.keyRows(l.Keys)
	l.Rotary = gather(a.Stack, rotary)
	problems := a.contentProblems(l.Keys, o.Weights, o.Split)
	a.Stack = nil
	rank := o.Rank / len(problems)
	kept, all := 0.0, 0.0
	var factors []*lowrank.Factors
	for _, p := range problems {
		f, err := lowrank.Factor(p, rank)
		if err != nil {
			return nil, err
		}
		unitRows(f)
		l.Fallback = l.Fallback || f.Fallback
		factors = append(factors, f)
		kept += lowrank.Loss(f.Spectrum, rank)
		all += lowrank.Loss(f.Spectrum, 0)
	}
	l.Energy = 1 - ratio(kept, all)
	first, last := factors[0], factors[len(factors)-1]
	l.DownK, l.DownV, l.UpV = first.Down, last.Down, last.Up
	if o.Split {
		l.UpK = first.Up
		return l, nil
	}
	n, r := first.Up.Dims()
	l.UpV = first.Up.Slice(len(content), n, 0, r).(*mat.Dense)
	if len(content) > 0 {
		l.UpK = first.Up.Slice(0, len(content), 0, r).(*mat.Dense)
	}
	return l, nil
}

// headConstants sorts the biases of the layer as its rows are, or returns nil if it has none.
func (a *Attention) headConstants(keys *rope.HeadKeys) *HeadConstants {
	if a.biases == nil {
		return nil
	}
	s := a.Shape()
	c := &HeadConstants{Value: a.biases.Value}
	for h := range s.Heads {
		turning, still := headRows(keys.Kept[s.KVHead(h)], s.HeadDim)
		query := a.biases.Query[h*s.HeadDim : (h+1)*s.HeadDim]
		turned := a.rest[h].Turn(asVector(query)).RawMatrix().Data
		c.RotaryQuery = append(c.RotaryQuery, elements(query, turning))
		c.ContentQuery = append(c.ContentQuery, elements(turned, still))
	}
	turning, still := a.keyRows(keys)
	c.RotaryKey, c.ContentKey = elements(a.biases.Key, turning), elements(a.biases.Key, still)
	return c
}

// elements returns the given elements of v.
func elements(v []float64, at []int) []float64 {
	some := make([]float64, len(at))
	for i, k := range at {
		some[i] = v[k]
	}
	return some
}

// unitRows scales the basis of the latent, which is free, so that the rows of Down have unit
// length (design §5). For a plain SVD Down is then Vᵀ and Up is U·Σ, as the reference
// implementation has them.
func unitRows(f *lowrank.Factors) {
	r, _ := f.Down.Dims()
	for k := range r {
		row := f.Down.RowView(k).(*mat.VecDense)
		if norm := mat.Norm(row, 2); norm > 0 {
			row.ScaleVec(1/norm, row)
			column := f.Up.ColView(k).(*mat.VecDense)
			column.ScaleVec(norm, column)
		}
	}
}
