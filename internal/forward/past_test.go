package forward

import (
	"math"
	"testing"

	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/f32"
)

// TestPast: a model that is given the tokens of several sequences one at a time has the
// logits of each whole sequence, in every family; those that end early disturb nothing.
func TestPast(t *testing.T) {
	for name, m := range map[string]testmodel.Llama{
		"MHA":                {},
		"MQA, untied":        {KVHeads: 1, Untied: true},
		"wide heads":         {HeadDim: 24, KVHeads: 2, Eps: 1e-3},
		"biases everywhere":  {KVHeads: 2, Config: map[string]any{"attention_bias": true}},
		"llama3 scaling":     {Config: map[string]any{"rope_scaling": map[string]any{"rope_type": "llama3", "factor": 4, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 32}}},
		"mistral, windowed":  {Kind: "mistral", KVHeads: 2, Config: map[string]any{"sliding_window": 9}},
		"qwen2, upper layer": {Kind: "qwen2", KVHeads: 2, Config: map[string]any{"use_sliding_window": true, "sliding_window": 7}},
		"qwen3":              {Kind: "qwen3", KVHeads: 2},
		"granite":            {Kind: "granite"},
		"gemma":              {Kind: "gemma", KVHeads: 1},
		"phi3":               {Kind: "phi3", Untied: true},
		"internlm2":          {Kind: "internlm2", KVHeads: 2, Untied: true},
	} {
		t.Run(name, func(t *testing.T) {
			f := m.Open(t)
			var sequences [][]int
			for i, length := range []int{40, 40, 31, 5, 1} {
				sequences = append(sequences, testmodel.Tokens(length, f.Vocab, uint64(i)))
			}
			got := stepped(t, Decoder{Model: f}, sequences)
			for i, tokens := range sequences {
				want := logits(t, f, tokens)
				for j, v := range want.Data {
					if !(math.Abs(float64(got[i][j]-v)) < 2e-5*(1+math.Abs(float64(v)))) {
						t.Fatalf("sequence %d, logit %d of position %d is %g, want %g", i, j%f.Vocab, j/f.Vocab, got[i][j], v)
					}
				}
			}
		})
	}
	latent := testmodel.Llama{Latent: &testmodel.Latent{Rank: 12, RopeDims: 4, NopeDim: 8, ValueDim: 8}}.Open(t)
	layer, err := Decoder{Model: latent}.Layer(0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := layer.NewPast(1, 1); err == nil {
		t.Error("latent attention has a past")
	}
}

// stepped returns the logits of all positions of sequences, the longest first, that take
// one step after the other.
func stepped(t *testing.T, d Decoder, sequences [][]int) [][]float32 {
	t.Helper()
	var layers []*Layer
	var pasts []*Past
	for n := range d.Layers {
		l, err := d.Layer(n)
		if err != nil {
			t.Fatal(err)
		}
		p, err := l.NewPast(len(sequences), len(sequences[0]))
		if err != nil {
			t.Fatal(err)
		}
		layers, pasts = append(layers, l), append(pasts, p)
	}
	head, err := d.HeadRows(0, d.Vocab)
	if err != nil {
		t.Fatal(err)
	}
	all := make([][]float32, len(sequences))
	for at := range sequences[0] {
		var tokens []int
		for _, s := range sequences {
			if at < len(s) {
				tokens = append(tokens, s[at])
			}
		}
		x, err := d.Embed(tokens)
		if err != nil {
			t.Fatal(err)
		}
		for n, l := range layers {
			if err := l.Step(x, pasts[n]); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.Finish(x); err != nil {
			t.Fatal(err)
		}
		z := f32.Project(x, head)
		for i := range tokens {
			all[i] = append(all[i], z.Data[i*z.Cols:(i+1)*z.Cols]...)
		}
	}
	return all
}
