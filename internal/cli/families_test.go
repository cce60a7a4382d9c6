package cli

import (
	"os"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/family"
)

// TestReadmeFamilies: the tables in the README are those of the code.
func TestReadmeFamilies(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), familiesMarkdown()) {
		t.Error("the tables of families in README.md are not what mha2mla families --markdown prints")
	}
}

// TestRefusedFamilies: everything that is refused for what it is ends with status
// 5, one line that says why and one that says what to use instead.
func TestRefusedFamilies(t *testing.T) {
	cases := map[string]testmodel.Llama{
		"sliding window": {Kind: "mistral", Config: map[string]any{"sliding_window": 32}},
		"gelu":           {Kind: "gemma"},
		"output bias":    {Config: map[string]any{"attention_bias": true}},
		"longrope":       {Kind: "phi3", Config: map[string]any{"rope_scaling": map[string]any{"type": "longrope"}}},
		"partial rotary": {Config: map[string]any{"partial_rotary_factor": 0.5}},
		"MLP bias":       {Config: map[string]any{"mlp_bias": true}},
		"another act":    {Config: map[string]any{"hidden_act": "relu"}},
		"another class":  {Config: map[string]any{"architectures": []string{"LlamaForTokenClassification"}}},
		"quantised":      {Config: map[string]any{"quantization_config": map[string]any{"quant_method": "awq"}}},
		"unknown":        {Config: map[string]any{"model_type": "something_new"}},
	}
	for _, r := range family.Refusals() {
		for _, kind := range r.Types {
			cases[kind] = testmodel.Llama{Layers: 1, Config: map[string]any{"model_type": kind, "architectures": []string{"ItsClass"}}}
		}
	}
	for name, m := range cases {
		t.Run(name, func(t *testing.T) {
			out := t.TempDir() + "/out"
			status, stdout, stderr := run("convert", m.Write(t), out)
			lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
			if status != exitUnsupported || stdout != "" || len(lines) != 2 || !strings.HasPrefix(lines[0], "mha2mla: ") || !strings.HasPrefix(lines[1], "hint: ") {
				t.Errorf("status %d, %q, %q", status, stdout, stderr)
			}
			if _, err := os.Stat(out); err == nil {
				t.Error("something was written")
			}
		})
	}
}
