package llamacpp

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/mha2mla/mha2mla/internal/gguf"
)

// Types of tokens (gguf-py/gguf/constants.py, TokenType). Those of SentencePiece's pieces have
// the same numbers.
const (
	Normal      = 1
	Unknown     = 2
	Control     = 3
	UserDefined = 4
	Unused      = 5
	Byte        = 6
)

// These are the keys of a vocabulary.
const (
	KeyModel    = "tokenizer.ggml.model"
	KeyPre      = "tokenizer.ggml.pre"
	KeyTokens   = "tokenizer.ggml.tokens"
	KeyTypes    = "tokenizer.ggml.token_type"
	KeyScores   = "tokenizer.ggml.scores"
	KeyMerges   = "tokenizer.ggml.merges"
	KeyAddBOS   = "tokenizer.ggml.add_bos_token"
	KeyAddEOS   = "tokenizer.ggml.add_eos_token"
	KeyAddSpace = "tokenizer.ggml.add_space_prefix"
	KeyTemplate = "tokenizer.chat_template"
)

// Names of the files that a vocabulary is presented as.
const (
	tokenizerJSON   = "tokenizer.json"
	tokenizerModel  = "tokenizer.model"
	tokenizerConfig = "tokenizer_config.json"
)

// Files lists the names of the files that a Hugging Face checkpoint has beside its weights
// and its configuration, and that the GGUF file has the content of.
func (m *Model) Files() []string {
	switch m.Metadata.Value(KeyModel) {
	case "gpt2":
		return []string{tokenizerJSON, tokenizerConfig}
	case "llama":
		return []string{tokenizerModel, tokenizerConfig}
	default:
		return nil
	}
}

// File returns the content of one of Files.
func (m *Model) File(name string) ([]byte, error) {
	v, err := readVocabulary(m.Metadata)
	if err != nil {
		return nil, err
	}
	switch name {
	case tokenizerConfig:
		return v.settings()
	case tokenizerModel:
		return v.sentencePiece(), nil
	default:
		return v.bytePairs()
	}
}

// vocabulary holds what a file says of its tokens.
type vocabulary struct {
	pre      string
	tokens   []string
	types    []int32
	scores   []float32
	merges   []string
	special  map[string]int // ids by their roles: bos, eos, unk, pad
	addBOS   bool
	addSpace bool
	template string
}

// readVocabulary reads the keys of the vocabulary.
func readVocabulary(m gguf.Metadata) (*vocabulary, error) {
	k := &keys{Metadata: m}
	v := &vocabulary{pre: k.text(KeyPre), template: k.text(KeyTemplate), special: make(map[string]int)}
	var err error
	if v.tokens, _, err = m.Texts(KeyTokens); err == nil {
		v.types, _, err = m.Ints(KeyTypes)
	}
	if err == nil {
		v.scores, _, err = m.Floats(KeyScores)
	}
	if err == nil {
		v.merges, _, err = m.Texts(KeyMerges)
	}
	if k.err == nil {
		k.err = err
	}
	spm := m.Value(KeyModel) == "llama"
	v.addBOS, v.addSpace = k.boolean(KeyAddBOS, spm || bytePairs[v.pre].bos), k.boolean(KeyAddSpace, spm)
	if spm { // what llama.cpp takes if no key says otherwise (src/llama-vocab.cpp)
		v.special["unk"], v.special["bos"], v.special["eos"] = 0, 1, 2
	}
	for role, key := range map[string]string{"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"} {
		id, there, err := m.Uint("tokenizer.ggml." + key + "_token_id")
		if id, there = keep(k, id, there, err); there && id < uint64(len(v.tokens)) {
			v.special[role] = int(id)
		}
	}
	if k.err != nil {
		return nil, k.err
	}
	maps.DeleteFunc(v.special, func(_ string, id int) bool { return id >= len(v.tokens) })
	if len(v.tokens) == 0 || len(v.types) != len(v.tokens) || v.scores != nil && len(v.scores) != len(v.tokens) {
		return nil, fmt.Errorf("a vocabulary of %d tokens with %d types and %d scores", len(v.tokens), len(v.types), len(v.scores))
	}
	for i, token := range v.tokens {
		if !utf8.ValidString(token) {
			return nil, fmt.Errorf("token %d is not UTF-8", i)
		}
	}
	return v, nil
}

// boolean returns the truth value at a key; fallback if there is none.
func (k *keys) boolean(key string, fallback bool) bool {
	v, there, err := k.Bool(key)
	if v, there = keep(k, v, there, err); there {
		return v
	}
	return fallback
}

// settings returns the text of tokenizer_config.json.
func (v *vocabulary) settings() ([]byte, error) {
	c := map[string]any{"add_bos_token": v.addBOS, "clean_up_tokenization_spaces": false}
	for role, id := range v.special {
		c[role+"_token"] = v.tokens[id]
	}
	if v.scores == nil {
		c["tokenizer_class"] = "PreTrainedTokenizerFast"
	} else {
		c["tokenizer_class"] = "LlamaTokenizer"
		c["legacy"], c["add_prefix_space"] = false, v.addSpace
	}
	if v.template != "" {
		c["chat_template"] = v.template
	}
	text, err := json.MarshalIndent(c, "", "  ")
	return append(text, '\n'), err
}

// jsonToken is an added token of a tokenizer.json.
type jsonToken struct {
	ID         int    `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// object is a component of a tokenizer.json.
type object map[string]any

// bytePairs returns the text of a tokenizer.json.
func (v *vocabulary) bytePairs() ([]byte, error) {
	cut, ok := bytePairs[v.pre]
	if !ok {
		return nil, &UnsupportedError{fmt.Sprintf("how a vocabulary of kind %q cuts texts into words is not known here", v.pre), "tokenize the text with the model's own tools, and use a file of token ids"}
	}
	vocab, added := make(map[string]int), []jsonToken{}
	for id, token := range v.tokens {
		switch v.types[id] {
		case Control, UserDefined:
			added = append(added, jsonToken{ID: id, Content: token, Special: v.types[id] == Control})
			vocab[token] = id
		case Unused: // it fills a gap
		default:
			vocab[token] = id
		}
	}
	byteLevel := object{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": cut.Pattern == ""}
	steps := []object{byteLevel}
	if cut.Pattern != "" {
		steps = []object{{"type": "Split", "pattern": object{"Regex": cut.Pattern}, "behavior": "Isolated", "invert": false}, byteLevel}
	}
	if cut.Digits {
		steps = append([]object{{"type": "Digits", "individual_digits": true}}, steps...)
	}
	file := object{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": added, "normalizer": nil,
		"pre_tokenizer":  object{"type": "Sequence", "pretokenizers": steps},
		"post_processor": v.surroundings(),
		"decoder":        object{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
		"model": object{"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
			"fuse_unk": false, "byte_fallback": false, "ignore_merges": cut.Whole, "vocab": vocab, "merges": v.merges},
	}
	if cut.NFC {
		file["normalizer"] = object{"type": "NFC"}
	}
	return json.Marshal(file)
}

// surroundings returns the component of a tokenizer.json that puts BOS before a text, or
// nothing but what changes no ids.
func (v *vocabulary) surroundings() object {
	id, there := v.special["bos"]
	if !v.addBOS || !there {
		return object{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true}
	}
	text := object{"Sequence": object{"id": "A", "type_id": 0}}
	begin := object{"SpecialToken": object{"id": v.tokens[id], "type_id": 0}}
	return object{
		"type": "TemplateProcessing", "single": []object{begin, text},
		"pair":           []object{begin, text, {"Sequence": object{"id": "B", "type_id": 1}}},
		"special_tokens": object{v.tokens[id]: object{"id": v.tokens[id], "ids": []int{id}, "tokens": []string{v.tokens[id]}}},
	}
}

// sentencePiece returns a tokenizer.model, in the wire format of protocol buffers
// (google/sentencepiece: src/sentencepiece_model.proto).
func (v *vocabulary) sentencePiece() []byte {
	var out []byte
	n := len(v.tokens)
	for n > 0 && v.types[n-1] == Unused { // they fill the vocabulary up to the size of the embedding
		n--
	}
	for id, token := range v.tokens[:n] {
		if v.types[id] == UserDefined { // llama.cpp has them as they are written
			token = strings.ReplaceAll(token, " ", "▁")
		}
		piece := protoBytes(nil, 1, []byte(token))
		score := float32(0)
		if v.scores != nil {
			score = v.scores[id]
		}
		piece = binary.LittleEndian.AppendUint32(append(piece, 2<<3|5), math.Float32bits(score))
		out = protoBytes(out, 1, protoNumber(piece, 3, int64(v.types[id])))
	}
	trainer := protoNumber(protoNumber(protoNumber(nil, 3, 2), 4, int64(n)), 35, 1) // BPE, with a fallback to bytes
	for i, role := range []string{"unk", "bos", "eos", "pad"} {
		id, there := v.special[role]
		if !there || role == "bos" && !v.addBOS {
			id = -1
		}
		trainer = protoNumber(trainer, 40+i, int64(id))
	}
	space := int64(0)
	if v.addSpace {
		space = 1
	}
	normalizer := protoNumber(protoNumber(protoNumber(protoBytes(nil, 1, []byte("identity")), 3, space), 4, 0), 5, 1)
	return protoBytes(protoBytes(out, 2, trainer), 3, normalizer)
}

// protoNumber appends a field with a number.
func protoNumber(b []byte, field int, v int64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(field)<<3), uint64(v))
}

// protoBytes appends a field with bytes.
func protoBytes(b []byte, field int, v []byte) []byte {
	b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(field)<<3|2), uint64(len(v)))
	return append(b, v...)
}
