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
	given  calib.Text               // of the user's
	memory int64                    // to stay below, as the user says; 0: as the machine has it
	temp   func(name string) string // names a file
}

// gather gathers statistics, with the given share of text of the model's own.
func (g gatherer) gather(ctx context.Context, share float64) (s *statistics, err error) {
	s = &statistics{given: g.given, held: tokens.Cut(g.given.Held, usualWindow, heldTokens), files: slices.Clone(g.Stats), text: &convert.Text{Share: share, Read: g.named()}}
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
	plan := g.plan(g.Made)
	text, err := g.makeText(ctx, plan)
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
	s.files, s.text.Made, s.held = append(s.files, path), &plan, append(s.held, tokens.Cut(text.Held, usualWindow, heldTokens)...)
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

// makeText has the model make the text of a plan.
func (g gatherer) makeText(ctx context.Context, p sample.Plan) (calib.Text, error) {
	if err := g.room(p.Memory(g.model)); err != nil {
		return calib.Text{}, err
	}
	var prompts [][]int
	for _, w := range g.given.Kept {
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
