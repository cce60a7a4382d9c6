package job

import (
	"context"
	"errors"

	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/heal"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// Fit heals the layers that nobody has healed yet, in their order, if layers are healed.
func (p Part) Fit(ctx context.Context, v View) (err error) {
	w, err := p.open(v, StageFit)
	if err != nil {
		return again(err)
	}
	defer w.close(&err)
	done, o, err := w.common(ctx)
	if err != nil {
		return err
	}
	if _, err := w.fitted(done.Plan); !errors.As(err, new(*convert.UnfittedError)) {
		return err
	}
	windows, err := w.lesson(ctx, done.Plan, w.stats)
	if err != nil {
		return err
	}
	w.fill(&o, w.stats)
	var finish func()
	if o.Healer, finish, err = w.healer(done.Plan, windows); err != nil {
		return err
	}
	defer finish()
	return convert.Fit(ctx, done.Plan, o)
}

// fitted returns what healing the layers of p has won; nil if they are not healed. It is a
// convert.UnfittedError if that is not done yet.
func (w *work) fitted(p *plan.Plan) (*heal.Won, error) {
	if p.Maths.Heal == heal.None {
		return nil, nil
	}
	won, err := convert.Fitted(w.parts)
	if won == nil && err == nil {
		err = &convert.UnfittedError{Folder: w.parts.Path()}
	}
	return won, err
}

// healedOn returns the windows that the layers of p are healed on; nil if they are not.
func (w *work) healedOn(ctx context.Context, p *plan.Plan) (tokens.Windows, error) {
	if p.Maths.Heal == heal.None {
		return nil, nil
	}
	windows, err := w.lesson(ctx, p, w.stats)
	return heal.Windows(p.Source, windows, p.Maths.Heal), err
}
