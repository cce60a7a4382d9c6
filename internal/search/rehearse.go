package search

import (
	"context"
	"errors"

	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/heal"
	"github.com/mha2mla/mha2mla/internal/latent"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// A rehearsal has few candidates, and few tokens, because each candidate is a conversion of
// the whole model.
const (
	finalists       = 4    // candidates at most
	farBehind       = 1.25 // none loses more than this times what the best one of the trial does
	rehearsedTokens = 1024
)

// rehearsalKeyWeight is the κ of all candidates (design §5). To find the best one for each
// layer would take several conversions, and the candidates differ in other things.
const rehearsalKeyWeight = 3

// heals reports whether layers will be healed by more than their output projections.
func (x *search) heals() bool {
	h := x.Choices.Heal()
	return h != heal.None && h != heal.Output
}

// rehearses reports whether candidates are rehearsed. They are not if layers will be healed
// in steps, which makes up for some losses and not for others.
func (x *search) rehearses() bool {
	return x.shrinks() && len(x.Held) > 0 && !x.heals() && x.Choices.Healable()
}

// rehearsed returns the sizes of the candidate that loses least in a rehearsal. The
// candidates must be sorted by their loss in the trial.
func (x *search) rehearsed(candidates []candidate) (sizes plan.Sizes, err error) {
	candidates = candidates[:min(finalists, len(candidates))]
	for candidates[len(candidates)-1].loss > farBehind*candidates[0].loss {
		candidates = candidates[:len(candidates)-1]
	}
	if len(candidates) == 1 {
		return candidates[0].Sizes, nil
	}
	windows := rehearsedOn(x.Held)
	r, err := heal.NewRehearsal(x.Model, windows, len(candidates), x.Temp)
	if err != nil {
		return sizes, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for n := range x.Layers {
		if err := x.rehearse(r, n, candidates); err != nil {
			return sizes, err
		}
		x.looked()
	}
	losses, err := r.Losses()
	if err != nil {
		return sizes, err
	}
	for i, loss := range losses {
		candidates[i].loss = loss
	}
	sortByLoss(candidates)
	return candidates[0].Sizes, nil
}

// rehearsedOn returns the beginning of the windows held out, on which is rehearsed.
func rehearsedOn(held tokens.Windows) tokens.Windows {
	return tokens.Cut(held, rehearsedTokens, rehearsedTokens)
}

// Memory estimates the bytes that a rehearsal of conversions of m takes on windows held out,
// beside those of the conversion of a layer. Cache is the floats per token and layer.
func Memory(m *family.Model, cache int, held tokens.Windows) int64 {
	if len(held) == 0 || cache == 0 {
		return 0
	}
	windows := rehearsedOn(held)
	streams := (finalists - 1) * 4 * int64(m.Hidden) * int64(windows.Tokens())
	return heal.Memory(m, heal.Output, cache, windows) + streams
}

// rehearse takes all candidates through layer n.
func (x *search) rehearse(r *heal.Rehearsal, n int, candidates []candidate) error {
	if err := context.Cause(x.ctx); err != nil {
		return err
	}
	layer, err := x.Read(n)
	if err != nil {
		return mla.Explain(n, err)
	}
	return r.Layer(x.ctx, n, func(i int) (*latent.Weights, error) {
		maths := x.Choices.Maths(candidates[i].Sizes)
		maths.KeyWeight, maths.QueryRank = rehearsalKeyWeight, 0 // queries are compressed alike
		converted, err := layer.Copy().Convert(maths)
		if err != nil {
			return nil, mla.Explain(n, err)
		}
		return converted.Weights()
	})
}
