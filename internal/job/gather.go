package job

import (
	"context"
	"slices"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/sample"
	"github.com/mha2mla/mha2mla/internal/sysmem"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// promptTokens is how many tokens of the user's text the model goes on from.
const promptTokens = 8

// heldTokens bounds the tokens of the user's text, and those of the model's own, that an
// output is measured on. Both models run on them, so that it costs a part of what the
// statistics have cost, however large the model is.
const heldTokens = 2048

// gatherer gathers statistics of a model.
type gatherer struct {
	View
	Data
	model  *family.Model
	memory int64                    // to stay below, as the user says; 0: as the machine has it
	temp   func(name string) string // names a file
}

// texts is the text that a source runs on before it is converted. Its fields are written as JSON,
// for other machines.
type texts struct {
	Given calib.Text     `json:"given"`               // of the user's
	Made  calib.Text     `json:"made"`                // of the model's own
	How   *sample.Plan   `json:"self_made,omitempty"` // the latter was made; nil: there is none
	Held  tokens.Windows `json:"held"`                // what the output is measured on
	More  tokens.Windows `json:"more,omitempty"`      // of the model's own, to learn from beside that of statistics
}

// These are the names of files of statistics, which a manifest repeats.
const (
	givenFile = "statistics"
	madeFile  = "made"
)

// source is a text that statistics are gathered of, in a file of that name.
type source struct {
	file string
	text calib.Text
}

// sources lists the texts that statistics are gathered of.
func (t *texts) sources() (all []source) {
	if len(t.Given.Kept) > 0 {
		all = append(all, source{givenFile, t.Given})
	}
	if t.How != nil {
		all = append(all, source{madeFile, t.Made})
	}
	return all
}

// texts completes the text that the user has given by text that the model makes, which has the
// given share.
func (g gatherer) texts(ctx context.Context, given calib.Text, share float64) (*texts, error) {
	t := &texts{Given: given, Held: tokens.Cut(given.Held, usualWindow, heldTokens)}
	if share == 0 {
		return t, nil
	}
	p := g.plan(g.Data.Made)
	made, err := g.makeText(ctx, p, given)
	t.Made, t.How, t.Held = made, &p, append(t.Held, tokens.Cut(made.Held, usualWindow, heldTokens)...)
	return t, err
}

// gather gathers statistics of texts, of which the one that the model has made has the given share.
func (g gatherer) gather(ctx context.Context, t *texts, share float64) (*statistics, error) {
	for _, s := range t.sources() {
		if err := g.collect(ctx, s.text, g.temp(s.file)); err != nil {
			return nil, err
		}
	}
	return g.open(t, share, g.temp)
}

// about returns what is known of statistics of texts, of which the one that the model has made has
// the given share, before they are gathered.
func (g gatherer) about(t *texts, share float64) *statistics {
	return &statistics{
		given: t.Given, held: t.Held, windows: slices.Concat(t.Given.Kept, t.Made.Kept), more: t.More,
		text: &convert.Text{Share: share, Read: g.named(), Made: t.How},
	}
}

// open opens statistics of texts, which are in files that path names, and those that the user has.
func (g gatherer) open(t *texts, share float64, path func(name string) string) (s *statistics, err error) {
	s = g.about(t, share)
	s.files = slices.Clone(g.Stats)
	defer func() {
		if err != nil {
			s.done()
		}
	}()
	if g.named() {
		s.files = append(s.files, path(givenFile))
	}
	given, err := openStats(g.model, s.files)
	if err != nil {
		return s, err
	}
	if len(given) > 0 {
		s.close = append(s.close, func() { closeStats(given) })
		s.Reader, s.text.Given = given, given.Info().Tokens
	}
	if t.How != nil {
		err = s.mix(g.model, path(madeFile))
	}
	if s.Reader == nil {
		s.text = nil
	}
	return s, err
}

// mix adds the statistics of the text that the model has made.
func (s *statistics) mix(m *family.Model, path string) error {
	made, err := openStats(m, []string{path})
	if err != nil {
		return err
	}
	s.close = append(s.close, func() { closeStats(made) })
	s.files = append(s.files, path)
	if s.Reader == nil {
		s.Reader = made
	} else {
		s.Reader = calib.Mixture{Main: s.Reader, Other: made, Share: s.text.Share}
	}
	return nil
}

// plan plans for the model to make so many tokens for statistics.
func (g gatherer) plan(tokens int) sample.Plan {
	return textPlan(g.model, sample.Statistics, tokens, g.Window, g.memory)
}

// makeText has the model make the text of a plan, which goes on from text of the user's if there is
// any.
func (g gatherer) makeText(ctx context.Context, p sample.Plan, given calib.Text) (calib.Text, error) {
	if err := g.room(p.Memory(g.model)); err != nil {
		return calib.Text{}, err
	}
	var prompts [][]int
	for _, w := range given.Kept {
		for prompt := range slices.Chunk(w, promptTokens) {
			prompts = append(prompts, prompt)
		}
	}
	progress, finish := g.Progress("making text")
	defer finish()
	return p.Make(ctx, g.model, prompts, func() string { return g.temp("making") }, progress)
}

// textPlan plans for m to make text, in windows like those of the user's text. How much memory
// there is decides how, so that it is what the user or the machine has, and not what happens to be
// free.
func textPlan(m *family.Model, purpose sample.Purpose, tokens, window int, memory int64) sample.Plan {
	if memory == 0 {
		memory = sysmem.Total() / 2
	}
	return sample.NewPlan(m, purpose, tokens, window, memory-baseMemory)
}

// collect gathers statistics of a text in a file.
func (g gatherer) collect(ctx context.Context, text calib.Text, path string) error {
	if err := g.room(calib.Memory(g.model, text)); err != nil {
		return err
	}
	progress, finish := g.Progress("calibrating")
	defer finish()
	_, err := calib.Gather(ctx, g.model, text, nil, path, false, progress)
	return err
}

// room makes sure of memory, unless the user knows better.
func (g gatherer) room(need int64) error { return Limits{Memory: g.memory}.room(need) }
