package family_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/family"
)

// TestHostileConfig: configurations of strangers are refused in bounded time, with one
// line that says why.
func TestHostileConfig(t *testing.T) {
	dir := testmodel.Llama{}.Write(t)
	path := filepath.Join(dir, checkpoint.ConfigFile)
	plain, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	with := func(key, value string) string {
		return strings.Replace(string(plain), "{", fmt.Sprintf("{%q: %s, ", key, value), 1)
	}
	instead := func(key, value string) string {
		return regexp.MustCompile(fmt.Sprintf(`"%s": [^,\n]*`, key)).ReplaceAllLiteralString(string(plain), fmt.Sprintf("%q: %s", key, value))
	}
	for name, c := range map[string]struct{ text, want string }{
		"empty":                {"", "ends too early"},
		"zeros":                {"\x00\x00\x00", "invalid JSON"},
		"too large":            {with("x", `"`+strings.Repeat("x", 100_000_000)+`"`), "too large"},
		"a string of 15 MB":    {with("x", `"`+strings.Repeat("x", 15_000_000)+`"`), ""},
		"nested 100k":          {with("x", strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)), "depth"},
		"nested objects":       {with("x", strings.Repeat(`{"a":`, 100_000)), "depth"},
		"a million members":    {with("x", "{"+strings.TrimSuffix(numbered(`"a%d":1,`, 1_000_000), ",")+"}"), ""},
		"key twice":            {with("hidden_size", "32"), "duplicate"},
		"key twice, escaped":   {strings.Replace(string(plain), "{", `{"hidden\u005fsize": 32,`, 1), "duplicate"},
		"key twice within":     {with("x", `{"a":{"b":1,"b":1}}`), "duplicate"},
		"beyond double":        {instead("rope_theta", "1e999999"), "rope_theta"},
		"beyond integers":      {instead("hidden_size", "1e999999"), "hidden_size"},
		"size of 2^63":         {instead("hidden_size", "9223372036854775808"), "hidden_size"},
		"size of 2^31":         {instead("hidden_size", "2147483648"), "hidden_size"},
		"minus zero":           {instead("hidden_size", "-0"), "hidden_size"},
		"a fraction":           {instead("hidden_size", "32.5"), "hidden_size"},
		"minus one":            {instead("num_hidden_layers", "-1"), "num_hidden_layers"},
		"two billion layers":   {instead("num_hidden_layers", "2147483647"), "layers"},
		"as many as tensors":   {instead("num_hidden_layers", "20"), "missing"},
		"zero heads":           {instead("num_attention_heads", "0"), "num_attention_heads"},
		"zero KV heads":        {instead("num_key_value_heads", "0"), "num_key_value_heads"},
		"products beyond 2^63": {strings.Replace(instead("num_attention_heads", "2147483646"), `"head_dim": 8`, `"head_dim": 2147483646`, 1), ""},
		"ε zero":               {instead("rms_norm_eps", "0"), "rms_norm_eps"},
		"ε subnormal":          {instead("rms_norm_eps", "1e-320"), ""},
		"θ a word":             {instead("rope_theta", `"1e4"`), "rope_theta"},
		"not an object":        {"[]", "an object"},
		"two objects":          {string(plain) + "{}", "the end"},
		"not UTF-8":            {with("x", "\"\xff\""), "invalid"},
		"lone surrogate":       {with("x", `"\ud800"`), "invalid"},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o666); err != nil {
			t.Fatal(err)
		}
		src, err := checkpoint.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err = family.Read(src, "")
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%s: took %v, want at most 10s", name, took)
		}
		src.Close()
		if err == nil {
			if c.want != "" {
				t.Errorf("%s: accepted", name)
			}
			continue
		}
		if !strings.Contains(err.Error(), c.want) || len(err.Error()) > 500 {
			t.Errorf("%s: got %.500v, want %q", name, err, c.want)
		}
		if !errors.As(err, new(*checkpoint.FormatError)) {
			t.Errorf("%s: got a %T, want a checkpoint.FormatError", name, err)
		}
	}
}

// numbered repeats text with the numbers below n.
func numbered(text string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, text, i)
	}
	return b.String()
}

// FuzzRead feeds arbitrary configurations to the description of a model whose weights
// are there. What it accepts has their shapes.
func FuzzRead(f *testing.F) {
	dirs := []string{
		testmodel.Llama{Layers: 1}.Write(f),
		testmodel.Llama{Layers: 1, KVHeads: 2, PerHead: &testmodel.PerHead{LowRank: 3, RopeDims: 4}}.Write(f),
		testmodel.Llama{Layers: 1, Latent: &testmodel.Latent{Rank: 6, RopeDims: 4, NopeDim: 8, ValueDim: 8, QRank: 5}}.Write(f),
	}
	var sources []*checkpoint.Source
	for _, dir := range dirs {
		text, err := os.ReadFile(filepath.Join(dir, checkpoint.ConfigFile))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		src, err := checkpoint.Open(dir)
		if err != nil {
			f.Fatal(err)
		}
		f.Cleanup(func() { src.Close() })
		sources = append(sources, src)
	}
	f.Add([]byte(`{"model_type":"llama","architectures":["LlamaForCausalLM"],"hidden_size":32,"rope_parameters":{"rope_theta":5e5}}`))
	config := filepath.Join(f.TempDir(), "config.json")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(config, text, 0o666); err != nil {
			t.Fatal(err)
		}
		for _, src := range sources {
			m, err := family.Read(src, config)
			if err != nil {
				if strings.ContainsAny(err.Error(), "\x1b\x00\n") {
					t.Errorf("%q would garble a terminal", err)
				}
				continue
			}
			if m.Layers != 1 || m.Hidden != 32 || m.Heads%m.KVHeads != 0 || m.HeadDim%2 != 0 || !(m.RopeTheta > 1) || !(m.NormEps > 0) || m.CacheFloats() <= 0 || m.CacheBytes() <= 0 {
				t.Errorf("accepted %+v", m)
			}
			for _, want := range m.AttentionTensors() {
				got := src.Lookup(family.InLayer(0, want.Name))
				if got == nil || !slices.Equal(got.Shape, want.Shape) {
					t.Errorf("accepted a model without %v", want)
				}
			}
		}
	})
}
