package job

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/tokenizer"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// Reading says which tokens of the user's a model is to run on.
type Reading struct {
	IDs       string // file of token ids
	Text      string // file of text, if there are no ids
	Window    int    // tokens that are run together; 0: what is usual
	Skip      int    // tokens to leave out at the beginning
	MaxTokens int    // tokens after which to stop; 0: none
}

// usualWindow caps the usual window, which is otherwise what the source was made for.
const usualWindow = 2048

// From reads a file, whose name says whether it holds token ids or a text.
func (r *Reading) From(path string) {
	if tokens.HoldsIDs(path) {
		r.IDs, r.Text = path, ""
	} else {
		r.IDs, r.Text = "", path
	}
}

// named reports whether any file is named.
func (r Reading) named() bool { return r.IDs != "" || r.Text != "" }

// held reads the text, if one is named, and holds some of it out.
func (r Reading) held(ctx context.Context, m *family.Model) (calib.Text, error) {
	if !r.named() {
		return calib.Text{}, nil
	}
	windows, err := r.Windows(ctx, m)
	return calib.Hold(windows), err
}

// Windows reads the tokens and cuts them into windows.
func (r Reading) Windows(ctx context.Context, m *family.Model) (tokens.Windows, error) {
	var sequences [][]int
	var err error
	path := r.IDs
	switch {
	case r.IDs != "":
		sequences, err = tokens.ReadSome(ctx, r.IDs, m.Vocab, r.ids())
	case r.Text != "":
		path = r.Text
		sequences, err = tokenize(ctx, r.Text, m, r.ids())
	default:
		return nil, plan.Misuse("no tokens are named").Try("name a file of token ids with %v, or a text with %v", option.Tokens, option.TextFile)
	}
	if err != nil {
		return nil, err
	}
	length := r.Window
	if length == 0 {
		length = min(m.MaxPositions, usualWindow)
	}
	windows := tokens.Cut(tokens.Skip(sequences, r.Skip), length, r.MaxTokens)
	if len(windows) == 0 {
		return nil, &checkpoint.FormatError{Path: path, What: "no sequence of two tokens: one alone predicts nothing"}
	}
	return windows, nil
}

// ids is how many token ids are needed to make windows of r.MaxTokens tokens, of
// which a single one at the end of a sequence is left out; 0: all.
func (r Reading) ids() int {
	if r.MaxTokens == 0 || r.MaxTokens > math.MaxInt/4 || r.Skip > math.MaxInt/4 {
		return 0
	}
	return r.Skip + 2*r.MaxTokens
}

// warnOfFew warns of tokens too few to say what a model does: below one for each
// dimension, most of what the statistics measure they have never seen.
func warnOfFew(v View, tokens int64, m *family.Model) {
	if tokens < int64(m.Hidden) {
		v.Warn(option.Textf("%d tokens are too few to calibrate on: they say nothing of most of %d dimensions", tokens, m.Hidden))
		v.Hint(option.Textf("name a longer text, or have the model make more (%v)", option.MadeTokens))
	}
}

// tokenize reads a text and cuts it into the tokens of m, no further than there are so
// many (0: all).
func tokenize(ctx context.Context, path string, m *family.Model, most int) ([][]int, error) {
	if ext := strings.ToLower(filepath.Ext(path)); ext == ".jsonl" || ext == ".ndjson" {
		return nil, records(path)
	}
	t, err := tokenizer.Open(m.Source)
	if err != nil {
		return nil, err
	}
	f, err := checkpoint.OpenStream(ctx, path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	ids, err := t.EncodeSome(f, most, Room)
	var cannot *tokenizer.TextError
	switch {
	case errors.As(err, &cannot) && cannot.Records:
		return nil, records(path)
	case errors.As(err, &cannot):
		return nil, &textError{&checkpoint.FormatError{Path: path, What: err.Error()}}
	case err != nil:
		return nil, err
	}
	for _, id := range ids {
		if id >= m.Vocab {
			return nil, &checkpoint.FormatError{Path: path, What: fmt.Sprintf("it holds a token that the model has not (%d; the vocabulary has %d)", id, m.Vocab), Tip: "take it out of the text: the tokenizer knows more tokens than the model"}
		}
	}
	return [][]int{ids}, nil
}

// records is the error of a data set that would be read as a text, with all its keys
// and braces.
func records(path string) error {
	return &checkpoint.FormatError{Path: path, What: "JSON records (jsonl), not a text", Tip: "write what is to be read to a file of its own, as with jq -r .text"}
}

// textError says that a file is no text from some place on.
type textError struct{ *checkpoint.FormatError }

func (e *textError) Unwrap() error { return e.FormatError }

// Remedy says what to do about the error.
func (e *textError) Remedy() option.Text {
	return option.Textf("name a text in UTF-8, or a part of it with %v", option.MaxTokens)
}
