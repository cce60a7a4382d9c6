package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/sample"
	"github.com/mha2mla/mha2mla/internal/sysmem"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// gatherFlags are the flags about statistics that are gathered at once.
type gatherFlags struct {
	statsFlags
	calibrate string   // file to gather them from; none: do without
	mix       *float64 // share of what the model makes
	made      int      // tokens that it makes

	given calib.Text // of the file
}

// noText is the value of --calibrate that asks for a conversion without data.
const noText = "none"

// defaultMix is the share of text of the model's own in statistics of a text of the
// user's.
const defaultMix = 0.5

// promptTokens is how many tokens of the user's text the model goes on from.
const promptTokens = 8

// addFlags adds the flags.
func (o *gatherFlags) addFlags(cmd *cobra.Command) {
	o.sharedFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.calibrate, "calibrate", "", "text or token ids to calibrate on first (`FILE`), or none to convert without data (default: text that the model makes itself)")
	wish(f, &o.mix, "calibrate-mix", "FRACTION", strconv.FormatFloat(defaultMix, 'g', -1, 64), "share of text that the model makes itself in statistics of other text; 0: none, as with --stats unless it is given", pointerTo(fraction))
	madeFlag(cmd, &o.made)
	o.amountFlags(cmd, calibrationTokens)
}

// madeFlag adds the flag about how much text a model makes.
func madeFlag(cmd *cobra.Command, tokens *int) {
	flag(cmd.Flags(), tokens, "made-tokens", "N", strconv.Itoa(sample.Tokens), "tokens that the model makes itself, where it does", severalTokens)
}

// share is the part that text of the model's own has in the statistics of a conversion: all where nobody gives any, and none where no statistics are asked
// for, or a published method that knows nothing of such text.
func (o *convertFlags) share() (float64, error) {
	given, mix := len(o.stats) > 0 || o.named(), defaultMix
	if o.mix != nil {
		mix = *o.mix
	}
	switch {
	case o.calibrate == noText && (len(o.stats) > 0 || o.mix != nil && mix > 0):
		return 0, &usageError{what: "--calibrate none is for conversions without data", tip: "leave it out, or --stats and --calibrate-mix"}
	case o.calibrate == noText:
		return 0, nil
	case given && o.mix != nil:
		return mix, nil
	case cmp.Or(o.Method, mla.MethodAttention) != mla.MethodAttention, cmp.Or(o.Weights, mla.WeightsCalibrated) != mla.WeightsCalibrated:
		return 0, nil
	case !given:
		return 1, nil
	case o.named():
		return mix, nil
	}
	return 0, nil
}

// data is what a conversion will have to go by, with the given share of text of the model's
// own.
func (o *convertFlags) data(share float64) plan.Data {
	d := plan.Data{Statistics: plan.Absent, Tokens: share > 0 || o.named()}
	if d.Tokens || len(o.stats) > 0 {
		d.Statistics = plan.Present
	}
	return d
}

// named reports whether a text of the user's is named.
func (o *gatherFlags) named() bool { return o.calibrate != "" && o.calibrate != noText }

// read reads the text of the user's, if one is named, and holds some of it out.
func (o *gatherFlags) read(ctx context.Context, m *family.Model) error {
	if !o.named() {
		return nil
	}
	if o.text = o.calibrate; tokens.HoldsIDs(o.calibrate) {
		o.tokens = o.calibrate
	}
	windows, err := o.windows(ctx, m)
	o.given = calib.Hold(windows)
	return err
}

// statistics are what a conversion goes by, and what it is judged by.
type statistics struct {
	calib.Reader // nil: none
	files        []string
	text         *convert.Text
	windows      tokens.Windows // that they are of, as far as they were gathered at once
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

// gatherer gathers statistics of a model.
type gatherer struct {
	*gatherFlags
	ui     *ui
	model  *family.Model
	memory int64                    // to stay below, as --memory says; 0: as the machine has it
	temp   func(name string) string // names a file
}

// gather gathers the statistics that the flags ask for, with the given share of text of
// the model's own.
func (g gatherer) gather(ctx context.Context, share float64) (s *statistics, err error) {
	s = &statistics{held: tokens.Cut(g.given.Held, defaultWindow, heldTokens), files: slices.Clone(g.stats), text: &convert.Text{Share: share, Read: g.named()}}
	defer func() {
		if err != nil {
			s.done()
		}
	}()
	if g.named() {
		if err := g.collect(ctx, g.given, g.temp("statistics")); err != nil {
			return s, err
		}
		s.files, s.windows = append(s.files, g.temp("statistics")), g.given.Kept
	}
	given, err := openStats(g.model, s.files)
	if err != nil {
		return s, err
	}
	if len(given) > 0 {
		s.close = append(s.close, func() { closeStats(given) })
		s.Reader, s.text.Given = given, given.Info().Tokens
	}
	if share > 0 {
		err = g.addMade(ctx, s)
	}
	if s.Reader == nil {
		s.text = nil
	}
	return s, err
}

// addMade adds statistics of text that the model makes.
func (g gatherer) addMade(ctx context.Context, s *statistics) error {
	plan, text, err := g.makeText(ctx, g.made)
	if err != nil {
		return err
	}
	path := g.temp("made")
	if err := g.collect(ctx, text, path); err != nil {
		return err
	}
	made, err := openStats(g.model, []string{path})
	if err != nil {
		return err
	}
	s.close = append(s.close, func() { closeStats(made) })
	s.windows = slices.Concat(s.windows, text.Kept)
	s.files, s.text.Made, s.held = append(s.files, path), plan, append(s.held, tokens.Cut(text.Held, defaultWindow, heldTokens)...)
	if s.Reader == nil {
		s.Reader = made
	} else {
		s.Reader = calib.Mixture{Main: s.Reader, Other: made, Share: s.text.Share}
	}
	return nil
}

// makeText has the model make so many tokens.
func (g gatherer) makeText(ctx context.Context, tokens int) (*sample.Plan, calib.Text, error) {
	p := textPlan(g.model, tokens, g.memory)
	if err := g.checkMemory(p.Memory(g.model)); err != nil {
		return nil, calib.Text{}, err
	}
	var prompts [][]int
	for _, w := range g.given.Kept {
		for prompt := range slices.Chunk(w, promptTokens) {
			prompts = append(prompts, prompt)
		}
	}
	progress, finish := g.ui.progress("making text")
	defer finish()
	text, err := p.Make(ctx, g.model, prompts, func() string { return g.temp("making") }, progress)
	return &p, text, err
}

// textPlan plans for m to make text. How much memory there is decides how, so that it is
// what the user or the machine has, and not what happens to be free.
func textPlan(m *family.Model, tokens int, memory int64) sample.Plan {
	if memory == 0 {
		memory = sysmem.Total() / 2
	}
	return sample.NewPlan(m, tokens, memory-baseMemory)
}

// collect gathers statistics of a text in a file.
func (g gatherer) collect(ctx context.Context, text calib.Text, path string) error {
	if err := g.checkMemory(calib.Memory(g.model, text)); err != nil {
		return err
	}
	progress, finish := g.ui.progress("calibrating")
	defer finish()
	_, err := calib.Gather(ctx, g.model, text, nil, path, false, progress)
	return err
}

// checkMemory makes sure that there is so much memory, unless --memory knows better.
func (g gatherer) checkMemory(need int64) error {
	if g.memory > 0 {
		debug.SetMemoryLimit(g.memory)
		return nil
	}
	return enoughMemory(baseMemory + need)
}

// computesNoNumbers reports whether a model failed for what it computes. Without
// statistics it can be converted even so.
func computesNoNumbers(err error) bool { return errors.As(err, new(*checkpoint.FormatError)) }

// fraction parses a number from 0 to below 1.
func fraction(text string) (float64, error) {
	v, err := nonNegativeNumber(text)
	if err != nil || v >= 1 {
		return 0, fmt.Errorf("%q is not a number of at least 0 and below 1", text)
	}
	return v, nil
}

// statistics gathers what a conversion of m goes by, with the given share of text of the
// model's own. A dry run says what that would be, and runs nothing.
func (o *convertFlags) statistics(ctx context.Context, u *ui, m *family.Model, share float64, output *checkpoint.Output) (*statistics, error) {
	if err := o.read(ctx, m); err != nil {
		return nil, err
	}
	if o.dryRun {
		return o.foreseen(m, share)
	}
	g := gatherer{&o.gatherFlags, u, m, o.memory, output.Scratch}
	s, err := g.gather(ctx, share)
	switch {
	case err != nil && share == 1 && computesNoNumbers(err):
		return &statistics{unmade: err}, nil
	case err != nil:
		return s, err
	}
	if t := s.text; t != nil {
		n := t.Tokens()
		if o.named() { // what the model makes does not mend it
			n = t.Given
		}
		u.warnOfFew(n, m)
	}
	if o.bounded() && len(s.held) == 0 {
		_, text, err := g.makeText(ctx, heldTokens)
		if err != nil {
			return s, err
		}
		s.held = text.Kept
	}
	return s, nil
}

// foreseen is what statistics would be of. Those that are there already are opened.
func (o *convertFlags) foreseen(m *family.Model, share float64) (*statistics, error) {
	s := &statistics{}
	given, err := openStats(m, o.stats)
	if err != nil {
		return s, err
	}
	s.close = append(s.close, func() { closeStats(given) })
	if len(given) > 0 {
		s.Reader = given
	}
	if share == 0 && len(given) == 0 && !o.named() {
		return s, nil
	}
	s.text = &convert.Text{Given: given.Info().Tokens + int64(o.given.Kept.Tokens()), Share: share, Read: o.named()}
	s.windows = o.given.Kept
	if share > 0 {
		p := textPlan(m, o.made, o.memory)
		s.text.Made, s.windows = &p, slices.Concat(s.windows, p.Shape().Kept)
	}
	return s, nil
}
