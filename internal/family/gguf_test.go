package family_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/family"
)

// TestGGUF: a GGUF file that the converter of llama.cpp has made of a checkpoint is read as
// that checkpoint (../llamacpp/testdata/make.py).
func TestGGUF(t *testing.T) {
	for file, kind := range map[string]string{
		"llama.f16": "llama", "qwen2.f16": "qwen2", "qwen3.f16": "qwen3", "deepseek_v3.f32": "deepseek_v3", "deepseek_v3.f16": "deepseek_v3", "experts.f32": "experts",
	} {
		t.Run(file, func(t *testing.T) {
			folder := "../llamacpp/testdata/"
			want, got := testmodel.Open(t, folder+kind), testmodel.Open(t, folder+file+".gguf")
			if a, b := described(t, want), described(t, got); a != b {
				t.Errorf("the model is\n%s, want\n%s", b, a)
			}
			for _, w := range want.Weights() {
				compare(t, got.Weight(w.Name), w)
			}
			if n := len(got.Source.Tensors()); n != len(want.Source.Tensors()) {
				t.Errorf("%d tensors, want %d", n, len(want.Source.Tensors()))
			}
		})
	}
}

// described is a model as JSON. The configuration of a GGUF file says for which ε its latent
// norms are, and that of the checkpoint does not.
func described(t *testing.T, m *family.Model) string {
	t.Helper()
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	if latent, ok := members["mla"].(map[string]any); ok {
		delete(latent, "latent_norm_eps")
	}
	maps.DeleteFunc(members, func(_ string, v any) bool { return v == nil })
	text, err = json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// compare compares the values of two weights, and reads them in parts of odd sizes, so that
// some end within a head.
func compare(t *testing.T, got, want *family.Weight) {
	t.Helper()
	if got == nil || !slices.Equal(got.Shape, want.Shape) {
		t.Fatalf("%s is %v, want a weight of %v", want.Name, got, want.Shape)
	}
	values, expected := make([]float64, want.Elements()), make([]float64, want.Elements())
	if err := family.ReadValues(want, 0, expected); err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(values); at += 77 {
		if err := family.ReadValues(got, int64(at), values[at:min(at+77, len(values))]); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(values, expected) {
		t.Errorf("%s has other values", want.Name)
	}
	if d := got.DType(); d != checkpoint.F16 && d != checkpoint.F32 {
		t.Errorf("%s has type %s", want.Name, d)
	}
}
