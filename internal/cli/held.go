package cli

import (
	"fmt"
	"io"

	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/option"
)

// ruined is the divergence on held-out text, in nats per token, from which on a model
// counts as ruined: what follows in the source's own text is on average e times less
// likely to it. The best of the published methods lose 0.85 at half the cache of a model
// that they leave usable.
const ruined = 1

// judge warns of a model that is ruined.
func judge(u *ui, h *convert.HeldOut) {
	if h != nil && h.KL > ruined {
		u.Warn(option.Textf("the converted model is ruined: it diverges by %.2f nats per token on text held out; give it a larger %v, more text like yours with %v, or %v", h.KL, option.Cache, option.Calibrate, option.Heal))
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
