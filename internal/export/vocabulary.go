package export

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/mha2mla/mha2mla/internal/gguf"
	"github.com/mha2mla/mha2mla/internal/llamacpp"
)

// vocabulary is the vocabulary of a Hugging Face checkpoint on its way into a GGUF file.
type vocabulary struct {
	size   int // number of tokens of the embedding
	files  beside
	config map[string]json.RawMessage // of the model
	wishes map[string]json.RawMessage // tokenizer_config.json; empty if there is none

	model, pre string // what llama.cpp calls the kind of tokenizer, and its way of cutting
	tokens     []string
	types      []int32
	scores     []float32 // nil for a BPE of bytes
	merges     []string  // nil for SentencePiece
	space      *bool     // whether a text gets a space in front; nil: as llama.cpp does by itself
	adds       []flag    // what is added to every text
}

// flag says whether a token of a role is added to every text.
type flag struct {
	role string
	add  bool
}

// read reads what all kinds of vocabularies have.
func (v *vocabulary) read(config []byte) error {
	if err := json.Unmarshal(config, &v.config); err != nil {
		return err
	}
	return v.files.decode("tokenizer_config.json", &v.wishes)
}

// fill makes room for all tokens of the embedding. Those that the tokenizer has not are unused.
func (v *vocabulary) fill() {
	v.tokens, v.types = make([]string, v.size), make([]int32, v.size)
	for id := range v.size {
		v.tokens[id], v.types[id] = fmt.Sprintf("[PAD%d]", id), llamacpp.Unused
	}
}

// put sets a token. It returns an error if the embedding has no such token.
func (v *vocabulary) put(id int, text string, kind int32) error {
	if id < 0 || id >= v.size {
		return &UnsupportedError{fmt.Sprintf("token %q has id %d, and the embedding has %d tokens", text, id, v.size)}
	}
	v.tokens[id], v.types[id] = text, kind
	return nil
}

// added sets a token that was added to a vocabulary. What looks like one that steers the model is
// one, whatever the file says (conversion/base.py, does_token_look_special). The ▁ of others is
// a space, because llama.cpp looks for them in the text as it is.
func (v *vocabulary) added(id int, text string, special bool) error {
	between := func(begin, end string) bool { return strings.HasPrefix(text, begin) && strings.HasSuffix(text, end) }
	switch {
	case special, text == "<pad>", text == "<mask>", text == "<2mass>", text == "[@BOS@]", between("<|", "|>"), between("<｜", "｜>"), between("<unused", ">"):
		return v.put(id, text, llamacpp.Control)
	}
	return v.put(id, strings.ReplaceAll(text, "▁", " "), llamacpp.UserDefined)
}

// keys lists the keys of the file, in the order of llama.cpp's converter.
func (v *vocabulary) keys() (m gguf.Metadata, err error) {
	add := func(key string, value any) { m = append(m, gguf.Pair{Key: key, Value: value}) }
	if v.space != nil {
		add(llamacpp.KeyAddSpace, *v.space)
	}
	add(llamacpp.KeyModel, v.model)
	add(llamacpp.KeyPre, v.pre)
	add(llamacpp.KeyTokens, v.tokens)
	if v.scores != nil {
		add(llamacpp.KeyScores, v.scores)
	}
	add(llamacpp.KeyTypes, v.types)
	if v.merges != nil {
		add(llamacpp.KeyMerges, v.merges)
	}
	for _, s := range v.special() {
		add("tokenizer.ggml."+s.key+"_token_id", s.id)
	}
	for _, f := range v.flags() {
		add("tokenizer.ggml.add_"+f.role+"_token", f.add)
	}
	templates, err := v.templates()
	return append(m, templates...), err
}
