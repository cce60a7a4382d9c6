package sample

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/forward"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// headRowsAtOnce and positionsAtOnce bound the part of the head, and the logits, that are
// in memory.
const (
	headRowsAtOnce  = 4096
	positionsAtOnce = 128
)

// Redraw replaces every token but the first of each window, in a number of passes. A pass draws
// each token from the probabilities of m after those before it, with the windows as they were
// before the pass: it is an ordinary run of the model, one layer in memory at a time. Every pass
// uses the same random numbers, so that tokens settle: after n passes the first n are those that
// the model would have written, and the others are nearer to that than before. Temp names a file
// for streams that do not fit into memory. Progress, if not nil, is told how many layers are
// done. Errors are those of reading the weights and of the file, and the cause of ctx.
func Redraw(ctx context.Context, m *family.Model, windows tokens.Windows, passes int, seed uint64, temp func() string, progress func(done, total int64)) (err error) {
	s, err := forward.NewStreams(windows, m.Hidden, temp)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	r := redrawing{forward.Decoder{Model: m}, s, windows, seed}
	for pass := range passes {
		err := r.pass(ctx, func(layer int) {
			if progress != nil {
				progress(int64(pass*(m.Layers+1)+layer), int64(passes*(m.Layers+1)))
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// redrawing is the state of windows that are being redrawn.
type redrawing struct {
	forward.Decoder
	streams *forward.Streams
	windows tokens.Windows
	seed    uint64
}

// pass redraws all windows once.
func (r *redrawing) pass(ctx context.Context, done func(layers int)) error {
	if err := r.streams.Embed(r.Decoder, r.windows); err != nil {
		return err
	}
	for n := range r.Layers {
		layer, err := r.Layer(n)
		if err != nil {
			return err
		}
		err = r.each(ctx, func(_ int, x f32.Matrix) error { _, err := layer.Forward(x); return err })
		if err != nil {
			return err
		}
		done(n + 1)
	}
	if err := r.each(ctx, func(_ int, x f32.Matrix) error { return r.Finish(x) }); err != nil {
		return err
	}
	if err := r.draw(ctx); err != nil {
		return err
	}
	done(r.Layers + 1)
	return nil
}

// each calls f for the stream of every window, several at a time, and keeps the stream as f
// changes it.
func (r *redrawing) each(ctx context.Context, f func(i int, x f32.Matrix) error) error {
	return f32.Each(ctx, len(r.windows), func(i int) error {
		x, err := r.streams.Get(i)
		if err == nil {
			err = f(i, x)
		}
		if err != nil {
			return err
		}
		return r.streams.Put(i, x)
	})
}

// draw draws the tokens. Of logits z_j, with e_j from the exponential distribution, the largest
// z_j − ln e_j is that of j with the probability that softmax gives j (the Gumbel-max trick).
// This needs the head only part by part, and if a distribution changes a little, few tokens
// change.
func (r *redrawing) draw(ctx context.Context) error {
	best, noise := make([][]float64, len(r.windows)), make([]*rand.Rand, len(r.windows))
	for i, w := range r.windows {
		noise[i] = rand.New(rand.NewPCG(r.seed, uint64(i)))
		for range len(w) - 1 {
			best[i] = append(best[i], math.Inf(-1))
		}
	}
	for from := 0; from < r.Vocab; from += headRowsAtOnce {
		head, err := r.HeadRows(from, min(from+headRowsAtOnce, r.Vocab))
		if err != nil {
			return err
		}
		err = r.each(ctx, func(i int, x f32.Matrix) error {
			for at := 0; at < len(best[i]); at += positionsAtOnce {
				n := min(positionsAtOnce, len(best[i])-at)
				logits := f32.Project(x.RowsFrom(at, n), head)
				for t := range n {
					row := logits.Data[t*logits.Stride : t*logits.Stride+logits.Cols]
					if id := race(row, &best[i][at+t], noise[i]); id >= 0 {
						r.windows[i][at+t+1] = from + id
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// race draws e_j from the exponential distribution for every logit z_j, raises best to the
// largest z_j − ln e_j, and returns the j that has it, or −1 if none is above best.
func race(logits []float32, best *float64, noise *rand.Rand) int {
	winner := -1
	for j, z := range logits {
		e, behind := noise.ExpFloat64(), *best-float64(z)
		// e^behind is at least the factor below, so that most logits need no logarithm.
		if behind > 0 && e*(1+behind+behind*behind/2) >= 1 {
			continue
		}
		if v := float64(z) - math.Log(e); v > *best {
			*best, winner = v, j
		}
	}
	return winner
}
