package sample

import (
	"context"
	"math/rand/v2"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// ConstantTokens is how many tokens are made if biases are folded and there are no
// statistics. ConstantWindow is how many of them a window has.
const (
	ConstantTokens = 2048
	constantWindow = 128
)

// ConstantMemory estimates the bytes that Constants takes for m.
func ConstantMemory(m *family.Model) int64 {
	return calib.Memory(m, calib.Text{Kept: constantWindows(m)}) + 4*headRowsAtOnce*int64(m.Hidden+2*constantWindow)
}

// Constants computes, without data, the functionals that take the place of the constant of
// biases in each layer of m, [L] (design §8), by running m on random tokens that are redrawn
// once. These are no text. But much of the mean of a layer's input does not depend on the
// tokens, and more of it is there if tokens are as frequent as in a text. The same tokens are
// drawn every time. Temp, progress and errors are those of calib.Collect.
func Constants(ctx context.Context, m *family.Model, temp func() string, progress func(done, total int64)) ([]calib.Constant, error) {
	windows := constantWindows(m)
	if err := Redraw(ctx, m, windows, 1, 3, temp, nil); err != nil {
		return nil, err
	}
	return calib.Constants(ctx, m, windows, temp, progress)
}

// constantWindows returns windows of token ids of m, drawn evenly, always the same.
func constantWindows(m *family.Model) tokens.Windows {
	r := rand.New(rand.NewPCG(1, 2))
	ids := make([]int, ConstantTokens)
	for i := range ids {
		ids[i] = r.IntN(m.Vocab)
	}
	return tokens.Cut([][]int{ids}, constantWindow, 0)
}
