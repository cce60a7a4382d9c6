package tokenizer

import (
	"slices"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
)

// TestGGUF: the vocabulary of a GGUF file makes of a text what the tokenizer does that the file
// was made of.
func TestGGUF(t *testing.T) {
	for file, kind := range map[string]string{"llama.f16": "llama", "qwen2.f16": "qwen2"} {
		src, err := checkpoint.Open("../llamacpp/testdata/" + file + ".gguf")
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		carried, err := Open(src)
		if err != nil {
			t.Fatal(err)
		}
		published, err := Open(checkpoint.Folder("../llamacpp/testdata/" + kind))
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"the cat sat on the mat", "  In  1234 the\n\nend, é ☃", "<|im_start|>the <tool> and<|im_end|>", "</s> then"} {
			got, err := carried.Encode(text)
			if err != nil {
				t.Fatal(err)
			}
			want, err := published.Encode(text)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: %q becomes %v, want %v", kind, text, got, want)
			}
		}
	}
}
