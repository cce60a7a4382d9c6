package calib

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/forward"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// windowsAtOnce is how many windows go through a layer before their sums are added up.
// It is fixed, so that the sums do not depend on the number of processors.
const windowsAtOnce = 8

// Collect runs m on a text, one layer after the other, and hands the sums of each layer to
// take. It holds one layer at a time, and the residual streams of all windows that the
// model runs on, for which temp names a file if they do not fit into memory. Progress, if
// not nil, is told how many layers are done. It is an error if a layer computes
// activations that are not finite.
func Collect(ctx context.Context, m *family.Model, t Text, temp func() string, take func(layer int, s *Sums) error, progress func(done, total int64)) error {
	return collectChunks(ctx, m, t.chunks(), temp, take, progress)
}

// collectChunks is Collect for some chunks of a text.
func collectChunks(ctx context.Context, m *family.Model, chunks []chunk, temp func() string, take func(layer int, s *Sums) error, progress func(done, total int64)) (err error) {
	var windows tokens.Windows
	for _, c := range chunks {
		windows = append(windows, c.windows...)
	}
	s, err := forward.NewStreams(windows, m.Hidden, temp)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	d := forward.Decoder{Model: m}
	if err := s.Embed(d, windows); err != nil {
		return err
	}
	moments, later := newMomenter(m.Hidden), (*Sums)(nil)
	if len(chunks) > 1 {
		later = newSums(m, windows.Longest())
	}
	for n := range m.Layers {
		c := &collector{streams: s, chunks: chunks, sums: newSums(m, windows.Longest()), later: later, moments: moments, eps: m.NormEps, wide: m.WideNorms}
		total, err := c.collect(ctx, d, n, len(windows))
		if err != nil {
			return err
		}
		if err := take(n, total); err != nil {
			return err
		}
		if progress != nil {
			progress(int64(n+1), int64(m.Layers))
		}
	}
	return nil
}

// collect takes all windows through layer n and returns its sums.
func (c *collector) collect(ctx context.Context, d forward.Decoder, n, windows int) (*Sums, error) {
	var err error
	c.layer, err = d.Layer(n)
	if err != nil {
		return nil, err
	}
	squares, err := outputs(d.Attention(n))
	if err != nil {
		return nil, err
	}
	for _, square := range squares {
		c.roots = append(c.roots, root(square))
	}
	for from := 0; from < windows; from += windowsAtOnce {
		if err := c.group(ctx, from, min(from+windowsAtOnce, windows)); err != nil {
			return nil, err
		}
	}
	total := cmp.Or(c.total, c.sums) // the latter of a text without windows
	if slices.ContainsFunc(append(total.Mean, total.Scores...), func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }) {
		return nil, &checkpoint.FormatError{Path: d.Source.Path, What: fmt.Sprintf("layer %d computes activations that are not finite", n)}
	}
	return total, nil
}

// collector adds up one layer.
type collector struct {
	layer   *forward.Layer
	streams *forward.Streams
	chunks  []chunk      // the chunk whose windows come next, and those after it
	before  int          // how many windows come before that chunk
	roots   []f32.Matrix // [H]: L of L·Lᵀ = W_o^hᵀ W_o^h, [D × D]
	sums    *Sums        // of the chunk so far
	total   *Sums        // of the chunks before it; nil if there is none
	later   *Sums        // zero, for all chunks but the first; nil if there is no other
	moments *momenter
	eps     float64 // ε of the norms on queries and keys
	wide    bool    // these are norms of all heads together
}

// group takes the windows from up to to through the layer and adds them to the
// sums, in their order.
func (c *collector) group(ctx context.Context, from, to int) error {
	seen := make([]*observation, to-from)
	err := f32.Each(ctx, len(seen), func(i int) error {
		x, err := c.streams.Get(from + i)
		if err != nil {
			return err
		}
		seen[i] = newObservation(c, x.Rows)
		if err := c.layer.Observe(x, forward.Observer{Input: seen[i].input, Heads: seen[i].heads, Rotary: seen[i].rotary, Head: seen[i].head}); err != nil {
			return err
		}
		seen[i].addHeads()
		return c.streams.Put(from+i, x)
	})
	if err != nil {
		return err
	}
	for i, o := range seen {
		c.add(from+i, o)
	}
	return nil
}

// add adds window i to the sums of its chunk, and these to those of the chunks before if it is the
// last one.
func (c *collector) add(i int, o *observation) {
	here := c.chunks[0]
	i -= c.before
	if slices.Contains(here.sampled, i) {
		c.sums.Sample = append(c.sums.Sample, o.x)
	}
	if i < here.kept {
		o.addTo(c.sums, c.moments)
	}
	if i < len(here.windows)-1 {
		return
	}
	c.chunks, c.before = c.chunks[1:], c.before+len(here.windows)
	if c.total == nil {
		c.total, c.sums = c.sums, c.later
		return
	}
	c.total.follow(c.sums)
	c.sums.clear()
}

// observation holds the sums of one window.
type observation struct {
	roots    []f32.Matrix
	eps      float64
	wide     bool
	x        f32.Matrix // [T × d]
	byHead   []*headSums
	attended []float64  // [T]: Σ_h Σ_s a_st²
	sums     Sums       // all but the moments, which are computed from x and attended
	q, k     f32.Matrix // [T × H·D] and [T × G·D]: queries and keys as their norms leave them; empty without
}

// newObservation returns an observation of a window of that many tokens, with sums of
// zero.
func newObservation(c *collector, tokens int) *observation {
	o := &observation{roots: c.roots, eps: c.eps, wide: c.wide, byHead: make([]*headSums, len(c.roots)), sums: *c.sums}
	o.sums.Input, o.sums.Attended = nil, nil
	o.sums.QueryCross, o.sums.KeyCross, o.sums.AttendedCross = nil, nil, nil
	o.attended = make([]float64, tokens)
	for _, v := range o.sums.fields() {
		*v = make([]float64, len(*v))
	}
	return o
}

// addTo adds the window to sums.
func (o *observation) addTo(sums *Sums, moments *momenter) {
	sums.Tokens += float64(o.x.Rows)
	moments.add(sums.Input, o.x, nil)
	moments.add(sums.Attended, o.x, o.attended)
	o.addCrosses(sums)
	theirs := o.sums.vectors()
	for name, v := range sums.vectors() {
		addTo(v, theirs[name])
	}
}

// input keeps the attention input.
func (o *observation) input(x f32.Matrix) {
	o.x = x
	o.x.Data = slices.Clone(x.Data)
	for t := range x.Rows {
		for j, v := range x.Data[t*x.Stride : t*x.Stride+x.Cols] {
			o.sums.Mean[j] += float64(v)
		}
	}
}

// rotary adds up the norms of the rotary pairs.
func (o *observation) rotary(q, k f32.Matrix, headDim int) {
	addNorms(o.sums.QueryNorms, q, headDim)
	addNorms(o.sums.KeyNorms, k, headDim)
}

// addNorms adds the norms of the pairs of all heads and tokens of m.
func addNorms(sums []float64, m f32.Matrix, headDim int) {
	J := headDim / 2
	for t := range m.Rows {
		row := m.Data[t*m.Stride:]
		for h := range len(sums) / J {
			re, im, norms := row[h*headDim:][:J], row[h*headDim+J:][:J], sums[h*J:][:J]
			for i := range norms {
				norms[i] += math.Sqrt(float64(re[i])*float64(re[i]) + float64(im[i])*float64(im[i]))
			}
		}
	}
}

// head returns the function that observes head h.
func (o *observation) head(h int) func(from int, p, v, mixed f32.Matrix) {
	observer := newHeadObserver(o.roots[h], len(o.attended))
	o.byHead[h] = &observer.headSums
	return observer.observe
}

// addHeads adds the sums of each head to those of the window, in the order of the heads.
func (o *observation) addHeads() {
	for h, head := range o.byHead {
		addTo(o.sums.Distances, head.distances)
		addTo(o.attended, head.attended)
		addTo(o.sums.HeadDistances[h*len(o.sums.Distances):], head.scores)
		o.sums.Values[h] = total(head.attended)
		o.sums.Scores[h] = total(head.scores)
	}
	o.byHead = nil
}
