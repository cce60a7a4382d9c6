package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/tokens"
	"github.com/mha2mla/mha2mla/internal/verify"
)

// heldTokens bounds the tokens of the user's text, and those of the model's own, that an
// output is measured on. Both models run on them, so that it costs a part of what the
// statistics have cost, however large the model is.
const heldTokens = 2048

// ruined is the divergence on held-out text, in nats per token, from which on a model
// counts as ruined: what follows in the source's own text is on average e times less
// likely to it. The best of the published methods lose 0.85 at half the cache of a model
// that they leave usable.
const ruined = 1

// measurer returns what measures an output on windows that were held out; nil if there
// are none.
func (o *convertFlags) measurer(u *ui, source *family.Model, held tokens.Windows) func(ctx context.Context, path string) (*convert.HeldOut, error) {
	if len(held) == 0 {
		return nil
	}
	return func(ctx context.Context, path string) (h *convert.HeldOut, err error) {
		converted, err := open(path, "")
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, converted.Source.Close()) }()
		progress, finish := u.progress("measuring")
		r, err := verify.Compare(ctx, source, converted, held, progress)
		finish()
		if err != nil {
			return nil, err
		}
		if r.KL > o.maxKL {
			return nil, &thresholdError{r.KL, o.maxKL, fmt.Sprintf(" on %d tokens held out, and nothing is written", r.Tokens)}
		}
		return &convert.HeldOut{KL: r.KL, Top1: r.Top1, Tokens: r.Tokens}, nil
	}
}

// judge warns of a model that is ruined.
func judge(u *ui, h *convert.HeldOut) {
	if h != nil && h.KL > ruined {
		u.warn(fmt.Sprintf("the converted model is ruined: it diverges by %.2f nats per token on text held out; give it a larger --cache, more text like yours with --calibrate, or --heal", h.KL))
	}
}

// printHeldOut prints for people what was measured.
func printHeldOut(w io.Writer, h *convert.HeldOut) error {
	if h == nil {
		return nil
	}
	_, err := fmt.Fprintf(w, "on %d tokens held out: KL(source‖converted) %.4f nats per token, same most likely token %.1f %%\n", h.Tokens, h.KL, 100*h.Top1)
	return err
}

// bounded reports whether the user bounds the divergence.
func (o *convertFlags) bounded() bool { return !math.IsInf(o.maxKL, 1) }
