package verify

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/fault"
	"github.com/mha2mla/mha2mla/internal/forward"
	"github.com/mha2mla/mha2mla/internal/quant"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// Report is the result of a comparison. Its fields are the JSON output.
type Report struct {
	Tokens    int         `json:"tokens"`  // how many were compared
	Windows   int         `json:"windows"` // how many; each begins at position 0
	Window    int         `json:"window"`  // tokens of the longest window
	Source    Side        `json:"source"`
	Converted Side        `json:"converted"`
	KL        float64     `json:"kl"`             // KL(source‖converted), nats per token
	Top1      float64     `json:"top1_agreement"` // share of tokens with the same most likely successor
	Layers    []Layer     `json:"layers"`
	Positions []Positions `json:"positions"` // KL by position in the window
	Cache     Cache       `json:"cache"`
}

// Side is one of the two checkpoints.
type Side struct {
	Path       string  `json:"path"`
	Loss       float64 `json:"loss"` // nats per predicted token
	Perplexity float64 `json:"perplexity"`
}

// Layer compares the attention of one layer, both given the source's input.
type Layer struct {
	Layer int     `json:"layer"`
	Error float64 `json:"attention_error"` // ‖converted − source‖ / ‖source‖ of the attention output
}

// batchBytes bounds the activations that are held between layers.
const batchBytes = 256 << 20

// ShapeError says that two checkpoints cannot be compared.
type ShapeError struct{ source, converted *family.Model }

func (e *ShapeError) Error() string {
	a, b := e.source, e.converted
	return fmt.Sprintf("%q and %q are not of one shape: %d and %d layers, hidden size %d and %d, vocabulary %d and %d",
		a.Source.Path, b.Source.Path, a.Layers, b.Layers, a.Hidden, b.Hidden, a.Vocab, b.Vocab)
}

// Kind says that what was asked for cannot be meant.
func (e *ShapeError) Kind() fault.Kind { return fault.Usage }

// Hint says what to do about the error.
func (e *ShapeError) Hint() string { return "name the checkpoint that the other was converted from" }

// Option changes how models are compared.
type Option func(*comparison)

// Compare runs source and converted on the windows, of which there must be one or more, of two
// tokens or more each. It does so in batches, to bound the memory to the activations of a batch
// and one layer of each model. Progress, if not nil, is told how many of all layer passes are
// done. It is a ShapeError if the models cannot be compared, and a checkpoint.FormatError if
// one of them computes numbers that are not finite or was changed meanwhile. Other errors are
// those of reading the weights, and the cause of ctx.
func Compare(ctx context.Context, source, converted *family.Model, windows tokens.Windows, progress func(done, total int64), options ...Option) (*Report, error) {
	if source.Layers != converted.Layers || source.Hidden != converted.Hidden || source.Vocab != converted.Vocab {
		return nil, &ShapeError{source, converted}
	}
	c := &comparison{
		source: forward.Decoder{Model: source}, converted: forward.Decoder{Model: converted},
		off: make([]float64, source.Layers), size: make([]float64, source.Layers),
	}
	for _, set := range options {
		set(c)
	}
	batches := batch(windows, batchBytes/(2*4*source.Hidden))
	for i, b := range batches {
		err := c.run(ctx, b, func(layers int) {
			if progress != nil {
				progress(int64(i*(source.Layers+1)+layers), int64(len(batches)*(source.Layers+1)))
			}
		})
		if err != nil {
			return nil, err
		}
	}
	if err := errors.Join(source.Source.Unchanged(), converted.Source.Unchanged()); err != nil {
		return nil, err
	}
	r := c.report(windows)
	return r, r.finite()
}

// finite returns an error if a number of the report is not finite, because JSON has no such
// numbers, and weights that compute them are broken.
func (r *Report) finite() error {
	switch {
	case !finite(r.Source.Perplexity):
		return &checkpoint.FormatError{Path: r.Source.Path, What: "it computes logits that are not finite"}
	case !finite(r.Converted.Perplexity), !finite(r.KL):
		return &checkpoint.FormatError{Path: r.Converted.Path, What: "it computes logits that are not finite"}
	}
	for _, l := range r.Layers {
		if !finite(l.Error) {
			return &checkpoint.FormatError{Path: r.Converted.Path, What: fmt.Sprintf("layer %d computes attention that is not finite", l.Layer)}
		}
	}
	return nil
}

// finite reports whether v is a number that JSON has.
func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// batch groups windows so that each group has at most most tokens. A window that is longer is
// a group by itself.
func batch(windows tokens.Windows, most int) []tokens.Windows {
	var batches []tokens.Windows
	for len(windows) > 0 {
		n, tokens := 1, len(windows[0])
		for n < len(windows) && tokens+len(windows[n]) <= most {
			tokens += len(windows[n])
			n++
		}
		batches = append(batches, windows[:n])
		windows = windows[n:]
	}
	return batches
}

// comparison accumulates over batches.
type comparison struct {
	source, converted forward.Decoder
	off, size         []float64 // per layer: squared error and square of the attention output
	totals            totals
	windows           int                 // that the head has seen
	sink              func(LogProb) error // is told every log-probability; nil if nobody asks
	scheme            *quant.Scheme       // of the converted cache, nil if it is not quantised
}

// stream is the state of one window between layers.
type stream struct {
	tokens    []int
	source    f32.Matrix // [T × d]: its residual stream
	converted f32.Matrix
	off, size float64 // of the last layer, as in comparison
}

// run takes one batch through all layers and the head.
func (c *comparison) run(ctx context.Context, windows tokens.Windows, done func(layers int)) error {
	streams := make([]*stream, len(windows))
	for i, tokens := range windows {
		s := &stream{tokens: tokens}
		var err error
		s.source, err = c.source.Embed(tokens)
		if err != nil {
			return err
		}
		s.converted, err = c.converted.Embed(tokens)
		if err != nil {
			return err
		}
		streams[i] = s
	}
	scale := residualScale(streams)
	for n := range c.source.Layers {
		ours, err := c.source.Layer(n)
		if err != nil {
			return err
		}
		theirs, err := c.converted.Layer(n)
		if err != nil {
			return err
		}
		err = f32.Each(ctx, len(streams), func(i int) error {
			return streams[i].layer(ours, theirs, scale)
		})
		if err != nil {
			return err
		}
		for _, s := range streams { // in a fixed order, so that sums do not depend on the schedule
			c.off[n] += s.off
			c.size[n] += s.size
		}
		done(n + 1)
	}
	if err := c.head(ctx, streams); err != nil {
		return err
	}
	done(c.source.Layers + 1)
	return nil
}

// residualScale returns the factor by which the converted residual stream is scaled against
// the source's, in least squares over the embeddings: a conversion may rescale it to change ε
// (design §6).
func residualScale(streams []*stream) float32 {
	dot, square := 0.0, 0.0
	for _, s := range streams {
		for i, v := range s.source.Data {
			dot += float64(v) * float64(s.converted.Data[i])
			square += float64(v) * float64(v)
		}
	}
	if dot <= 0 {
		return 1
	}
	return float32(dot / square)
}

// layer runs one layer of both models, each on its own stream, and the
// converted attention once more on the source's.
func (s *stream) layer(source, converted *forward.Layer, scale float32) error {
	same := s.source
	same.Data = slices.Clone(same.Data)
	for i := range same.Data {
		same.Data[i] *= scale
	}
	got := converted.Attend(same)
	want, err := source.Forward(s.source)
	if err != nil {
		return err
	}
	if _, err := converted.Forward(s.converted); err != nil {
		return err
	}
	s.off, s.size = 0, 0
	for i, v := range want.Data {
		w := float64(v) * float64(scale)
		d := float64(got.Data[i]) - w
		s.off += d * d
		s.size += w * w
	}
	return nil
}

// report turns the sums into the report.
func (c *comparison) report(windows tokens.Windows) *Report {
	t := c.totals
	r := &Report{
		Tokens: t.tokens, Windows: len(windows), Window: windows.Longest(),
		Source:    side(c.source.Model, t.sourceLoss/float64(t.predicted)),
		Converted: side(c.converted.Model, t.convertedLoss/float64(t.predicted)),
		KL:        t.kl / float64(t.tokens),
		Top1:      float64(t.agreed) / float64(t.tokens),
		Positions: t.positions.means(),
		Cache:     NewCache(c.source.Model, c.converted.Model),
	}
	if c.scheme != nil {
		r.Cache.Quantised = quantised(*c.scheme, cachedVectors(c.converted.Model), c.converted.Layers, r.Cache.SourceBytes)
	}
	for n := range c.off {
		e := 0.0
		if c.size[n] > 0 {
			e = math.Sqrt(c.off[n] / c.size[n])
		}
		r.Layers = append(r.Layers, Layer{n, e})
	}
	return r
}

// side returns the figures of one model, of the given loss in nats per token.
func side(m *family.Model, loss float64) Side {
	return Side{m.Source.Path, loss, min(math.Exp(loss), math.MaxFloat64)} // a NaN stays one
}
