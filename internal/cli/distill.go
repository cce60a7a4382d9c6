package cli

import (
	"fmt"
	"io"

	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/distill"
)

// Distilling returns a function that shows how far the training of all layers is, and one that
// takes it off the screen.
func (u *ui) Distilling() (report func(distill.Progress), finish func()) {
	show, finish := u.changing("distilling")
	if show == nil {
		return nil, finish
	}
	return func(p distill.Progress) {
		show(fmt.Sprintf("distilling, KL %.4f", p.KL), int64(p.Step), int64(p.Steps))
	}, finish
}

// distilled is what training all layers together has won.
type distilled struct{ *distill.Result }

// distilledOf returns what a conversion says of that; nil if nobody asked for it.
func distilledOf(r *convert.Result) *distilled {
	if r == nil || r.Distilling == nil {
		return nil
	}
	return &distilled{r.Distilling}
}

// print prints it for people.
func (d *distilled) print(w io.Writer) error {
	switch {
	case d == nil:
		return nil
	case d.Steps == 0:
		_, err := fmt.Fprintf(w, "training all layers together did not help on %d tokens held out, and was taken back: KL %.4f\n", d.Tokens, d.Before)
		return err
	default:
		_, err := fmt.Fprintf(w, "all layers trained together in %d steps: KL on %d tokens held out %.4f → %.4f\n", d.Steps, d.Tokens, d.Before, d.After)
		return err
	}
}
