package cli

import (
	"fmt"
	"io"
	"math"

	"github.com/spf13/cobra"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/plan"
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
func (o *textFlags) windows(m *family.Model) ([][]int, error) {
	var sequences [][]int
	var err error
	path := o.tokens
	switch {
	case o.tokens != "":
		sequences, err = tokens.ReadSome(o.tokens, m.Vocab, o.ids())
	case o.text != "":
		path = o.text
		sequences, err = tokenize(o.text, m)
	default:
		return nil, &plan.UsageError{What: "no tokens are named", Tip: "name a file of token ids with --tokens, or a text with --text"}
	}
	if err != nil {
		return nil, err
	}
	length := o.window
	if length == 0 {
		length = min(m.MaxPositions, defaultWindow)
	}
	windows := tokens.Windows(tokens.Skip(sequences, o.skip), length, o.maxTokens)
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

// tokenize reads a text and cuts it into the tokens of m.
func tokenize(path string, m *family.Model) ([][]int, error) {
	t, err := tokenizer.Open(m.Source.Dir)
	if err != nil {
		return nil, err
	}
	if t.Vocab() > m.Vocab {
		return nil, &checkpoint.FormatError{Path: m.Source.Dir, What: "its tokenizer has more tokens than its vocabulary", Tip: "name a file of token ids with --tokens"}
	}
	f, err := checkpoint.OpenStream(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, tokenizer.MaxText+1))
	if err != nil {
		return nil, err
	}
	if len(text) > tokenizer.MaxText {
		return nil, &checkpoint.FormatError{Path: path, What: fmt.Sprintf("a text of more than %d bytes", tokenizer.MaxText), Tip: "name a part of it"}
	}
	ids, err := t.Encode(string(text))
	if err != nil {
		return nil, &checkpoint.FormatError{Path: path, What: err.Error()}
	}
	return [][]int{ids}, nil
}
