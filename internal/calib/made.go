package calib

import (
	"context"
	"math"
	"math/rand/v2"

	"github.com/mha2mla/mha2mla/internal/decoder"
	"github.com/mha2mla/mha2mla/internal/family"
)

// MadeTokens is how many tokens are made where biases are to be folded and there are no
// data, and madeWindow how many of them a window has.
const (
	MadeTokens = 2048
	madeWindow = 128
)

// headRowsAtOnce bounds the part of the head in memory.
const headRowsAtOnce = 4096

// MadeMemory estimates the bytes that MadeConstants takes for m.
func MadeMemory(m *family.Model) int64 {
	return Memory(m, randomWindows(m)) + 4*headRowsAtOnce*int64(m.Hidden+2*madeWindow)
}

// MadeConstants finds what stands for a constant in each layer of m without data, by
// running it on tokens of its own making: each is drawn from what the model expects after
// random ones. These are no text, but much of the mean of what goes into a layer is there
// whatever the tokens are, and more if they are as frequent as in a text. Both times the
// same tokens are drawn. Temp and progress are those of NewStreams and Collect.
func MadeConstants(ctx context.Context, m *family.Model, temp func() string, progress func(done, total int64)) ([]Constant, error) {
	windows := randomWindows(m)
	s, err := NewStreams(windows, m.Hidden, temp)
	if err != nil {
		return nil, err
	}
	defer s.Close() //nolint:errcheck // it holds nothing that is needed
	run := maker{decoder.Decoder{Model: m}, s, windows}
	if err := run.expect(ctx); err != nil {
		return nil, err
	}
	var all []Constant
	err = Collect(ctx, m, windows, s, func(_ int, sums *Sums) error {
		all = append(all, sums.constant())
		return nil
	}, progress)
	return all, err
}

// randomWindows returns windows of token ids of m, drawn evenly, always the same.
func randomWindows(m *family.Model) [][]int {
	rng := rand.New(rand.NewPCG(1, 2))
	windows := make([][]int, MadeTokens/madeWindow)
	for i := range windows {
		windows[i] = make([]int, madeWindow)
		for t := range windows[i] {
			windows[i][t] = rng.IntN(m.Vocab)
		}
	}
	return windows
}

// maker makes tokens.
type maker struct {
	decoder.Decoder
	streams *Streams
	windows [][]int
}

// expect replaces every token but the first of each window by one drawn from what the
// model expects after those before it.
func (r *maker) expect(ctx context.Context) error {
	if err := r.streams.Embed(r.Decoder, r.windows); err != nil {
		return err
	}
	for n := range r.Layers {
		layer, err := r.Layer(n)
		if err != nil {
			return err
		}
		err = r.each(ctx, func(_ int, x decoder.Matrix) error { layer.Forward(x); return nil })
		if err != nil {
			return err
		}
	}
	if err := r.each(ctx, func(_ int, x decoder.Matrix) error { return r.Finish(x) }); err != nil {
		return err
	}
	return r.draw(ctx)
}

// each calls f for the stream of every window, several at a time, and keeps what f makes
// of it.
func (r *maker) each(ctx context.Context, f func(i int, x decoder.Matrix) error) error {
	return Each(ctx, len(r.windows), func(i int) error {
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

// draw draws the tokens: of logits z_j the largest z_j − ln e_j, with e_j of the
// exponential distribution, is at j as softmax has it.
func (r *maker) draw(ctx context.Context) error {
	best, noise := make([][]float64, len(r.windows)), make([]*rand.Rand, len(r.windows))
	for i := range r.windows {
		noise[i] = rand.New(rand.NewPCG(3, uint64(i)))
		for range madeWindow {
			best[i] = append(best[i], math.Inf(-1))
		}
	}
	for from := 0; from < r.Vocab; from += headRowsAtOnce {
		head, err := r.HeadRows(from, min(from+headRowsAtOnce, r.Vocab))
		if err != nil {
			return err
		}
		err = r.each(ctx, func(i int, x decoder.Matrix) error {
			logits := decoder.Project(x, head)
			for t := range madeWindow - 1 {
				for j, z := range logits.Data[t*logits.Stride : t*logits.Stride+logits.Cols] {
					if v := float64(z) - math.Log(noise[i].ExpFloat64()); v > best[i][t] {
						best[i][t], r.windows[i][t+1] = v, from+j
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
