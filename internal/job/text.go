package job

import (
	"context"
	"errors"
	"io/fs"

	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/fault"
	"github.com/mha2mla/mha2mla/internal/fsys"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// textFile is the file in the folder of the parts that has the text, as said.
const textFile = "text.json"

// said is the text that parts run through the source, and what it was made with: whatever is made
// of it must be made with the same.
type said struct {
	convert.Origin
	texts
}

// UnsaidError says that the text is not there yet which parts run through the source.
type UnsaidError struct{}

func (*UnsaidError) Error() string { return "the text that statistics are of is not made yet" }

// Kind says that it may succeed later.
func (*UnsaidError) Kind() fault.Kind { return fault.Again }

// Hint says what to do about the error.
func (*UnsaidError) Hint() string { return "let part text end first" }

// speaks reports whether a conversion runs text through its source.
func (c Conversion) speaks(share float64) bool { return share > 0 || c.named() || c.MaxKL != nil }

// Text reads the text that the user has named, has the model make what it is to make, and puts all
// of it down, so that all parts run the same.
func (p Part) Text(ctx context.Context, v View) (err error) {
	w, err := p.open(v, StageText)
	if err != nil {
		return again(err)
	}
	defer w.close(&err)
	if there, err := fsys.Exists(w.parts, textFile); there || err != nil || !w.speaks(w.own) {
		return err
	}
	given, err := w.held(ctx, w.model)
	if err != nil {
		return err
	}
	t, err := w.texts(ctx, given, w.own)
	if err == nil {
		t.More, err = w.more(ctx, t)
	}
	if err != nil {
		return again(err)
	}
	origin, err := w.origin(ctx)
	if err != nil {
		return err
	}
	return putCommon(w.parts, textFile, said{origin, *t})
}

// more has the model make the text that layers learn from beside that of their statistics.
func (w *work) more(ctx context.Context, t *texts) (tokens.Windows, error) {
	stats := w.gatherer().about(t, w.own)
	choices, err := w.choices.Learn(stats.known(w.foreseen(w.own)))
	if err != nil {
		return nil, err
	}
	p := w.lessonPlan(choices.Maths(choices.Sizes()), stats)
	if p == nil {
		return nil, nil
	}
	made, err := w.gatherer().makeText(ctx, *p, t.Given)
	return made.Kept, err
}

// origin says what this process makes things with.
func (w *work) origin(ctx context.Context) (convert.Origin, error) {
	return convert.NewOrigin(ctx, w.model, convert.Options{Version: w.Version, Build: w.Build})
}

// said returns the text. It is an UnsaidError if it is not there yet, and a convert.PlanError if it
// was made with another program or of another source.
func (w *work) said(ctx context.Context) (*texts, error) {
	if !w.speaks(w.own) {
		return &texts{}, nil
	}
	var s said
	err := getCommon(w.parts, textFile, &s)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &UnsaidError{}
	}
	if err != nil {
		return nil, err
	}
	origin, err := w.origin(ctx)
	if err != nil {
		return nil, err
	}
	return &s.texts, origin.Planned(s.Origin)
}
