package job

import (
	"context"
	"errors"
	"slices"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/sample"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// OpenStatistics opens statistics of m, which are added up; nil if no path is named. The
// function returned closes them.
func OpenStatistics(m *family.Model, paths []string) (stats calib.Reader, done func(), err error) {
	merged, err := openStats(m, paths)
	if err != nil || len(merged) == 0 {
		return nil, func() {}, err
	}
	return merged, func() { closeStats(merged) }, nil
}

// openStats opens statistics of m; none is no statistics.
func openStats(m *family.Model, paths []string) (calib.Merged, error) {
	var files []*calib.File
	for _, path := range paths {
		f, err := calib.Open(path)
		if err != nil {
			closeStats(files)
			return nil, err
		}
		files = append(files, f)
	}
	merged, err := calib.Merge(m, files)
	if err == nil {
		err = Room(merged.Memory())
	}
	if err != nil {
		closeStats(files)
	}
	return merged, err
}

// closeStats closes statistics that were read.
func closeStats(files []*calib.File) {
	for _, f := range files {
		f.Close() //nolint:errcheck // nothing was written to it
	}
}

// statistics are what a conversion goes by, and what it is judged by.
type statistics struct {
	calib.Reader // nil: none
	files        []string
	text         *convert.Text
	given        calib.Text     // of the user's
	windows      tokens.Windows // that they are of, as far as they were gathered at once
	more         tokens.Windows // to learn from besides, if the source has made them already
	held         tokens.Windows // windows that they are not of
	unmade       error          // why the model has made no text that it should have; nil: it has
	close        []func()
}

// known is what was foreseen of the data, with what is known of them now.
func (s *statistics) known(foreseen plan.Data) plan.Data {
	if s.unmade != nil {
		foreseen.Statistics = plan.Unmade
	}
	foreseen.Windows = len(s.windows)
	return foreseen
}

// done gives up what is held.
func (s *statistics) done() {
	for _, f := range slices.Backward(s.close) {
		f()
	}
	s.close = nil
}

// statistics gathers what the conversion goes by, with the given share of text of the
// model's own. A dry run says what that would be, and runs nothing.
func (r *run) statistics(ctx context.Context, share float64) (*statistics, error) {
	given, err := r.held(ctx, r.model)
	if err != nil {
		return nil, err
	}
	if r.DryRun {
		return r.unread(given, share)
	}
	t, err := r.texts(ctx, given, share)
	var s *statistics
	if err == nil {
		s, err = r.gatherer().gather(ctx, t, share)
	}
	if err != nil && share == 1 && computesNoNumbers(err) {
		return &statistics{unmade: err}, nil
	}
	if err == nil {
		r.warnOfFew(s)
	}
	return s, err
}

// texts returns the text that the source runs on before it is converted, given that of the user's
// and the share of its own.
func (r *run) texts(ctx context.Context, given calib.Text, share float64) (*texts, error) {
	g := r.gatherer()
	t, err := g.texts(ctx, given, share)
	if err != nil || r.MaxKL == nil || len(t.Held) > 0 {
		return t, err
	}
	more, err := g.makeText(ctx, g.plan(heldTokens), given)
	t.Held = more.Kept
	return t, err
}

// warnOfFew warns of statistics that are of too few tokens.
func (r *run) warnOfFew(s *statistics) {
	if s.text == nil {
		return
	}
	n := s.text.Tokens()
	if r.named() { // what the model makes does not mend it
		n = s.text.Given
	}
	warnOfFew(r, n, r.model)
}

// gatherer gathers statistics of the source.
func (r *run) gatherer() gatherer {
	return gatherer{View: r.View, Data: r.Data, model: r.model, memory: r.Memory, temp: r.temp}
}

// computesNoNumbers reports whether a model failed for what it computes. Without
// statistics it can be converted even so.
func computesNoNumbers(err error) bool { return errors.As(err, new(*checkpoint.FormatError)) }

// unread is what statistics would be of. Those that are there already are opened.
func (r *run) unread(given calib.Text, share float64) (*statistics, error) {
	s := &statistics{given: given}
	there, err := openStats(r.model, r.Stats)
	if err != nil {
		return nil, err
	}
	s.close = append(s.close, func() { closeStats(there) })
	if len(there) > 0 {
		s.Reader = there
	}
	if share == 0 && len(there) == 0 && !r.named() {
		return s, nil
	}
	s.text = &convert.Text{Given: there.Info().Tokens + int64(given.Kept.Tokens()), Share: share, Read: r.named()}
	s.windows = given.Kept
	if share > 0 {
		p := textPlan(r.model, sample.Statistics, r.Made, r.Window, r.Memory)
		s.text.Made, s.windows = &p, slices.Concat(s.windows, p.Shape().Kept)
	}
	return s, nil
}
