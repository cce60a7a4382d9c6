package sample

import (
	"context"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/forward"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// Tokens is how many tokens a model makes for statistics unless another number is asked for.
const Tokens = 8192

const (
	mostWindow   = 2048 // tokens of a window, if the model has as many positions and nobody wants another
	pieceTokens  = 256  // tokens of each text that is written
	piecesAtOnce = 64   // texts that are written side by side, so that weights are read once for all
	passes       = 4    // of redrawing
	heldPart     = 10   // for that many tokens one more is made, to be held out
	promptTokens = 4    // random ids that a text begins with, at most
)

// Purpose is what a text is made for.
type Purpose int

// Text for Statistics shows what the user's text does not, so that a narrow one does not decide
// alone. Text for Learning is there because the user's is short, and is as much like it as
// can be.
const (
	Statistics Purpose = iota
	Learning
)

// Plan says what text a model makes. Its fields are JSON output.
type Plan struct {
	Purpose Purpose `json:"-"`
	Tokens  int     `json:"tokens"`          // for the purpose
	HeldOut int     `json:"held_out_tokens"` // made besides, to be held out of statistics
	Written int     `json:"written"`         // of both: all, if the weights fit into memory
	Redrawn int     `json:"redrawn"`         // of both: all, if they do not; these begin as random ids
	Passes  int     `json:"passes"`          // of redrawing
	Window  int     `json:"window"`          // tokens of a window
}

// NewPlan plans for m to make that many tokens within memory bytes, in windows of
// the given length; 0 for as long as the model's positions go, 2048 at most.
func NewPlan(m *family.Model, purpose Purpose, tokens, window int, memory int64) Plan {
	if window == 0 {
		window = min(m.MaxPositions, mostWindow)
	}
	p := Plan{Purpose: purpose, Tokens: tokens, Passes: passes, Window: max(2, window)}
	if purpose == Statistics {
		p.HeldOut = max(2, tokens/heldPart)
	}
	p.Written = p.Tokens + p.HeldOut
	if p.Memory(m) > memory {
		p.Written, p.Redrawn = 0, p.Written
	}
	return p
}

// Memory estimates the bytes that making the text takes. To write, it needs all weights in
// single precision, and the KV cache and logits of the texts that are written side by side.
func (p Plan) Memory(m *family.Model) int64 {
	width, T := int64(m.Hidden), int64(p.Window)
	if p.Written == 0 {
		layers := calib.Memory(m, calib.Text{Kept: tokens.Windows{make([]int, p.Window)}})
		return layers + 4*headRowsAtOnce*(width+2*positionsAtOnce) + min(forward.InMemory, 4*width*int64(p.Redrawn)) + 4*T*width
	}
	weights := int64(m.Vocab) * width
	for _, w := range m.Weights() {
		weights += w.Elements()
	}
	piece := min(pieceTokens, p.Window)
	atOnce := min(piecesAtOnce, ceil(p.Written, piece))
	past := int64(m.Layers) * 2 * int64(m.KVHeads) * int64(m.HeadDim) * int64(piece)
	return 4*weights + 4*int64(atOnce)*(past+2*int64(m.Vocab))
}

// Shape returns a text of the windows that Make will return, with all tokens zero.
func (p Plan) Shape() calib.Text {
	return p.divide(make([]int, p.Tokens+p.HeldOut))
}

// ceil returns a/b rounded up.
func ceil(a, b int) int { return (a + b - 1) / b }

// Make has m make the text. If there are prompts, one of three texts that are written for
// statistics begins with one of them, and every one to learn from. The same weights make the same
// text. Temp names files for streams that do not fit into memory. Progress, if not nil, is told how
// many tokens are done. Errors are those of reading the weights and of these files, and the cause
// of ctx.
func (p Plan) Make(ctx context.Context, m *family.Model, prompts [][]int, temp func() string, progress func(done, total int64)) (calib.Text, error) {
	seed, err := seedOf(m)
	if err != nil {
		return calib.Text{}, err
	}
	seed += uint64(p.Purpose) << 32 // no text is made twice
	report := func(done, total int64) {
		if progress != nil {
			progress(done*int64(p.Tokens+p.HeldOut)/total, int64(p.Tokens+p.HeldOut))
		}
	}
	var made []int
	if p.Written > 0 {
		made, err = p.write(ctx, m, seed, prompts, func(done int64) { report(done, int64(p.Written)) })
	} else {
		made, err = p.redraw(ctx, m, seed, temp, report)
	}
	return p.divide(made), err
}

// redraw draws tokens at random and has m redraw them. It returns them as one text.
func (p Plan) redraw(ctx context.Context, m *family.Model, seed uint64, temp func() string, progress func(done, total int64)) ([]int, error) {
	windows := tokens.Cut([][]int{p.random(m, rand.New(rand.NewPCG(seed, 0)), p.Redrawn)}, p.Window, 0)
	err := Redraw(ctx, m, windows, p.Passes, seed, temp, progress)
	return slices.Concat(windows...), err
}

// divide cuts the tokens that were made into windows, of which it holds out the last.
func (p Plan) divide(made []int) calib.Text {
	kept := max(0, len(made)-p.HeldOut)
	return calib.Text{
		Kept: tokens.Cut([][]int{made[:kept]}, p.Window, 0),
		Held: tokens.Cut([][]int{made[kept:]}, p.Window, 0),
	}
}

// seedOf returns the seed of the random numbers, which follows from the weights.
func seedOf(m *family.Model) (uint64, error) {
	print, err := calib.Fingerprint(m)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(print[:16], 16, 64)
}

// random returns n tokens drawn evenly, every window of which begins as sequences do.
func (p Plan) random(m *family.Model, r *rand.Rand, n int) []int {
	ids := make([]int, n)
	for i := range ids {
		ids[i] = r.IntN(m.Vocab)
		if bos, ok := m.BOS(); ok && i%p.Window == 0 {
			ids[i] = bos
		}
	}
	return ids
}

// write writes text, piece by piece, and returns it as one.
func (p Plan) write(ctx context.Context, m *family.Model, seed uint64, prompts [][]int, report func(done int64)) ([]int, error) {
	g, err := NewGenerator(m)
	if err != nil {
		return nil, err
	}
	piece := min(pieceTokens, p.Window)
	r := rand.New(rand.NewPCG(seed, 1))
	var starts [][]int
	var lengths []int
	for at := 0; at < p.Written; at += piece {
		starts, lengths = append(starts, p.start(m, r, prompts, len(starts))), append(lengths, min(piece, p.Written-at))
	}
	var all []int
	for from := 0; from < len(starts); from += piecesAtOnce {
		to := min(from+piecesAtOnce, len(starts))
		texts, err := g.Write(ctx, starts[from:to], lengths[from:to], seed+uint64(to), func(tokens int64) { report(int64(from*piece) + tokens) })
		if err != nil {
			return nil, err
		}
		all = append(all, slices.Concat(texts...)...)
	}
	return all, nil
}

// WritingTime measures on one token of each piece how long it takes to write the text; 0 if it is
// redrawn. Errors are those of reading the weights, and the cause of ctx.
func (p Plan) WritingTime(ctx context.Context, m *family.Model) (time.Duration, error) {
	if p.Written == 0 {
		return 0, nil
	}
	g, err := NewGenerator(m)
	if err != nil {
		return 0, err
	}
	piece := min(pieceTokens, p.Window)
	pieces := ceil(p.Written, piece)
	atOnce := min(piecesAtOnce, pieces)
	prompts, lengths := slices.Repeat([][]int{{0}}, atOnce), slices.Repeat([]int{2}, atOnce)
	start := time.Now()
	_, err = g.Write(ctx, prompts, lengths, 0, nil)
	return time.Since(start) * time.Duration(piece*ceil(pieces, piecesAtOnce)), err
}

// start returns the tokens that the i-th text begins with. That is the token that begins every
// sequence, if there is one. Where the text is to go on from a prompt, that follows. Else some
// random ids follow in every other text, or where there is no such token.
func (p Plan) start(m *family.Model, r *rand.Rand, prompts [][]int, i int) []int {
	var first []int
	if bos, ok := m.BOS(); ok {
		first = append(first, bos)
	}
	switch {
	case len(prompts) > 0 && (p.Purpose == Learning || i%3 == 2):
		return append(first, prompts[r.IntN(len(prompts))]...)
	case len(first) == 0 || i%2 == 1:
		for range 1 + r.IntN(promptTokens) {
			first = append(first, r.IntN(m.Vocab))
		}
	}
	return first
}
