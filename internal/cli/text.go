package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/tokenizer"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// textFlags are the flags about tokens to run a model on.
type textFlags struct {
	tokens    string // file of ids
	text      string // file of text
	window    int
	skip      int
	maxTokens int
}

// defaultWindow caps the default window, which is otherwise what the source was
// made for.
const defaultWindow = 2048

// sourceFlags adds the flags that name the tokens.
func (o *textFlags) sourceFlags(cmd *cobra.Command, purpose string) {
	f := cmd.Flags()
	f.StringVar(&o.tokens, "tokens", "", "token ids "+purpose+" (`FILE`: .json, .npy, .u16, .u32, .ds, .bin)")
	f.StringVar(&o.text, "text", "", "text "+purpose+", cut into tokens by the checkpoint's own tokenizer (`FILE`)")
	cmd.MarkFlagsMutuallyExclusive("tokens", "text")
}

// amountFlags adds the flags about how many tokens there are.
func (o *textFlags) amountFlags(cmd *cobra.Command, most string) {
	f := cmd.Flags()
	flag(f, &o.window, "window", "N", "", "tokens that are run together (default: max_position_embeddings, at most 2048)", severalTokens)
	flag(f, &o.skip, "skip-tokens", "N", "", "leave out so many tokens at the beginning", positive)
	flag(f, &o.maxTokens, "max-tokens", "N", most, "stop after so many tokens", severalTokens)
}

// windows reads the tokens and cuts them into windows.
func (o *textFlags) windows(ctx context.Context, m *family.Model) (tokens.Windows, error) {
	var sequences [][]int
	var err error
	path := o.tokens
	switch {
	case o.tokens != "":
		sequences, err = tokens.ReadSome(ctx, o.tokens, m.Vocab, o.ids())
	case o.text != "":
		path = o.text
		sequences, err = tokenize(ctx, o.text, m, o.ids())
	default:
		return nil, &usageError{what: "no tokens are named", tip: "name a file of token ids with --tokens, or a text with --text"}
	}
	if err != nil {
		return nil, err
	}
	length := o.window
	if length == 0 {
		length = min(m.MaxPositions, defaultWindow)
	}
	windows := tokens.Cut(tokens.Skip(sequences, o.skip), length, o.maxTokens)
	if len(windows) == 0 {
		return nil, &checkpoint.FormatError{Path: path, What: "no sequence of two tokens: one alone predicts nothing"}
	}
	return windows, nil
}

// ids is how many token ids are needed to make windows of o.maxTokens tokens, of
// which a single one at the end of a sequence is left out; 0: all.
func (o *textFlags) ids() int {
	if o.maxTokens == 0 || o.maxTokens > math.MaxInt/4 || o.skip > math.MaxInt/4 {
		return 0
	}
	return o.skip + 2*o.maxTokens
}

// warnOfFew warns of tokens too few to say what a model does: below one for each
// dimension, most of what the statistics measure they have never seen.
func (u *ui) warnOfFew(tokens int64, m *family.Model) {
	if tokens < int64(m.Hidden) {
		u.warn(fmt.Sprintf("%d tokens are too few to calibrate on: they say nothing of most of %d dimensions", tokens, m.Hidden))
		u.hint("name a longer text, or have the model make more (--made-tokens)")
	}
}

// tokenize reads a text and cuts it into the tokens of m, no further than there are so
// many (0: all).
func tokenize(ctx context.Context, path string, m *family.Model, most int) ([][]int, error) {
	if ext := strings.ToLower(filepath.Ext(path)); ext == ".jsonl" || ext == ".ndjson" {
		return nil, records(path)
	}
	t, err := tokenizer.Open(m.Source.Dir)
	if err != nil {
		return nil, err
	}
	f, err := checkpoint.OpenStream(ctx, path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	ids, err := t.EncodeSome(f, most, func(bytes int64) error { return enoughMemory(baseMemory + bytes) })
	var cannot *tokenizer.TextError
	switch {
	case errors.As(err, &cannot) && cannot.Records:
		return nil, records(path)
	case errors.As(err, &cannot):
		return nil, &checkpoint.FormatError{Path: path, What: err.Error(), Tip: "name a text in UTF-8, or a part of it with --max-tokens"}
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
