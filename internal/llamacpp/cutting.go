package llamacpp

// Cutting is how a byte-level BPE cuts a text into words, which llama.cpp knows by a name
// (src/llama-vocab.cpp: the regular expressions of each LLAMA_VOCAB_PRE_TYPE).
type Cutting struct {
	Digits  bool   // each digit is a word
	Pattern string // of words; empty: GPT-2's
	NFC     bool   // the text is normalised
	Whole   bool   // a word in the vocabulary is a token, whatever its merges

	bos bool // a text begins with BOS unless a key says otherwise
}

// Patterns as published in files of tokenizers. llama.cpp has them in its own spelling.
const (
	cl100k    = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	qwenWords = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// bytePairs lists the ways of cutting that are known, by the value of tokenizer.ggml.pre.
var bytePairs = map[string]Cutting{
	"gpt-2": {}, "smollm": {Digits: true}, "starcoder": {Digits: true}, "refact": {Digits: true},
	"llama-bpe": {Pattern: cl100k, Whole: true, bos: true}, "llama3": {Pattern: cl100k, Whole: true, bos: true}, "llama-v3": {Pattern: cl100k, Whole: true, bos: true},
	"dbrx":  {Pattern: cl100k},
	"qwen2": {Pattern: qwenWords, NFC: true}, "deepseek-r1-qwen": {Pattern: qwenWords, NFC: true},
}

// Pre returns a value of tokenizer.ggml.pre that stands for a way of cutting. Where several
// do, it is the one that is in most files. It returns false if none does.
func Pre(c Cutting) (name string, ok bool) {
	for _, name := range []string{"gpt-2", "smollm", "llama-bpe", "dbrx", "qwen2"} {
		known := bytePairs[name]
		known.bos = c.bos // it is written in any case
		if known == c {
			return name, true
		}
	}
	return "", false
}
