package convert

import (
	"context"
	"fmt"

	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/sample"
)

// Text says what text the statistics of a conversion are of. Its fields are JSON output.
type Text struct {
	Given int64        `json:"given_tokens"` // of the user's
	Made  *sample.Plan `json:"self_made,omitempty"`
	Share float64      `json:"self_made_share"` // that what the model made has in the statistics
	Read  bool         `json:"-"`               // some of the user's are read now, not all are in statistics that were made before
}

// Tokens is how many tokens the statistics are of.
func (t *Text) Tokens() int64 {
	if t.Made == nil {
		return t.Given
	}
	return t.Given + int64(t.Made.Tokens)
}

// String says it in words.
func (t *Text) String() string {
	words := fmt.Sprintf("of %d tokens", t.Given)
	if t.Made == nil {
		return words
	}
	made := fmt.Sprintf("of %d tokens that the model makes", t.Made.Tokens)
	if t.Made.Written == 0 {
		made += fmt.Sprintf(", by redrawing random ones in %d passes", t.Made.Passes)
	}
	if t.Given == 0 {
		return made
	}
	return fmt.Sprintf("%s, and for %.0f %% %s", words, 100*t.Share, made)
}

// HeldOut is how far the output is from its source on text that was held out of the
// statistics. Its fields are JSON output.
type HeldOut struct {
	KL     float64 `json:"held_out_kl"` // KL(source‖converted), nats per token
	Top1   float64 `json:"held_out_top1_agreement"`
	Tokens int     `json:"held_out_tokens"`
}

// dataSettings say what the statistics are of.
func (r *run) dataSettings() []option.Setting {
	var words []option.Setting
	switch t := r.Text; {
	case r.Healer != nil || r.Lesson != nil || t != nil && t.Read:
		words = append(words, option.Calibrate.Is("TEXT"))
	case r.Stats != nil && (t == nil || t.Given > 0):
		words = append(words, option.Stats.Is("STATS"))
	case r.Stats == nil && r.Maths.Method == mla.MethodAttention && r.Maths.Weights == mla.WeightsAttention:
		words = append(words, option.Calibrate.Is("none"))
	}
	if r.Text == nil || r.Text.Made == nil {
		return words
	}
	if r.Text.Given > 0 {
		words = append(words, option.CalibrateMix.Is(r.Text.Share))
	}
	if n := r.Text.Made.Tokens; n != sample.Tokens {
		words = append(words, option.MadeTokens.Is(n))
	}
	return words
}

// measureOutput measures the output, the weights and the configuration of which are there, if
// it is to be measured.
func (r *run) measureOutput(ctx context.Context) (err error) {
	if r.Measure == nil {
		return nil
	}
	main := ""
	if !r.Whole {
		main = r.Shards[0].File
	}
	r.result.HeldOut, err = r.Measure(ctx, r.out.Staged(main))
	return err
}
