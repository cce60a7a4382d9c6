package sample

import (
	"context"
	"math/rand/v2"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// ConstantTokens is how many tokens are made where biases are to be folded and there are
// no statistics, and constantWindow how many of them a window has.
const (
	ConstantTokens = 2048
	constantWindow = 128
)

// ConstantMemory estimates the bytes that Constants takes for m.
func ConstantMemory(m *family.Model) int64 {
	return calib.Memory(m, calib.Text{Kept: constantWindows(m)}) + 4*headRowsAtOnce*int64(m.Hidden+2*constantWindow)
}

// Constants finds what stands for a constant in each layer of m without data, by running
// it on random tokens, redrawn once. These are no text, but much of the mean of what goes
// into a layer is there whatever the tokens are, and more if they are as frequent as in a
// text. Both times the same tokens are drawn. Temp and progress are those of
// calib.Collect.
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
