package forward

import (
	"math"
	"slices"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// logits runs the decoder on one sequence.
func logits(t testing.TB, m *family.Model, tokens []int) f32.Matrix {
	t.Helper()
	z, err := Decoder{Model: m}.Logits(tokens)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// TestAgainstNaive runs both classes in all their forms beside the naive pass.
// The sequence is longer than the block of queries.
func TestAgainstNaive(t *testing.T) {
	ranks := []rope.Ranking{{{3, 0, 2, 1}, {1, 2, 3, 0}}, {{0, 1, 2, 3}, {2, 0, 1, 3}}}
	yarn := map[string]any{"max_position_embeddings": 256, "rope_scaling": map[string]any{"type": "yarn", "factor": 8,
		"original_max_position_embeddings": 32, "beta_fast": 2, "beta_slow": 0.5, "mscale": 1, "mscale_all_dim": 1}}
	v2 := map[string]any{"model_type": "deepseek_v2", "architectures": []string{"DeepseekV2ForCausalLM"}}
	for name, m := range map[string]testmodel.Llama{
		"MHA":                     {},
		"GQA":                     {KVHeads: 2},
		"MQA, untied":             {KVHeads: 1, Untied: true},
		"wide heads":              {HeadDim: 24, KVHeads: 2, Eps: 1e-3},
		"half precision":          {DType: checkpoint.F16, KVHeads: 2},
		"latent":                  {Untied: true, Latent: &testmodel.Latent{Rank: 12, RopeDims: 4, NopeDim: 8, ValueDim: 8}},
		"latent, all different":   {Untied: true, Theta: 500, Latent: &testmodel.Latent{Rank: 10, RopeDims: 6, NopeDim: 7, ValueDim: 5}},
		"latent, query too":       {Untied: true, Latent: &testmodel.Latent{Rank: 12, RopeDims: 4, NopeDim: 8, ValueDim: 8, QRank: 9}},
		"latent, yarn":            {Untied: true, Config: yarn, Latent: &testmodel.Latent{Rank: 12, RopeDims: 8, NopeDim: 8, ValueDim: 8}},
		"latent, yarn, query":     {Untied: true, Config: yarn, Latent: &testmodel.Latent{Rank: 12, RopeDims: 8, NopeDim: 8, ValueDim: 8, QRank: 9}},
		"latent with biases":      {Untied: true, Bias: 2, Config: map[string]any{"attention_bias": true}, Latent: &testmodel.Latent{Rank: 12, RopeDims: 4, NopeDim: 8, ValueDim: 8, QRank: 9}},
		"latent, biases, whole q": {Untied: true, Config: map[string]any{"attention_bias": true}, Latent: &testmodel.Latent{Rank: 12, RopeDims: 4, NopeDim: 8, ValueDim: 8}},
		"latent, bfloat16, tied":  {DType: checkpoint.BF16, Latent: &testmodel.Latent{Rank: 16, RopeDims: 8, NopeDim: 8, ValueDim: 8}},
		"experts, V2": {Untied: true, Layers: 3, Latent: &testmodel.Latent{Rank: 12, RopeDims: 4, NopeDim: 8, ValueDim: 8}, Config: v2,
			Experts: &family.MoE{Experts: 6, Chosen: 2, Width: 16, First: 1, Score: family.Softmax, Scale: 1}},
		"experts, V3": {Untied: true, Layers: 3, Latent: &testmodel.Latent{Rank: 12, RopeDims: 4, NopeDim: 8, ValueDim: 8},
			Experts: &family.MoE{Experts: 6, Chosen: 3, Width: 16, Shared: 32, Score: family.Sigmoid, Bias: true, Renorm: true, Scale: 2.5}},
		"experts, softmax": {Untied: true, Latent: &testmodel.Latent{Rank: 12, RopeDims: 4, NopeDim: 8, ValueDim: 8},
			Experts: &family.MoE{Experts: 6, Chosen: 3, Width: 16, Shared: 16, Score: family.Softmax, Renorm: true, Scale: 1}},
		"per head":             {PerHead: &testmodel.PerHead{LowRank: 3, RopeDims: 4}},
		"per head, all rotary": {PerHead: &testmodel.PerHead{LowRank: 5, RopeDims: 8}},
		"per head, biases":     {KVHeads: 2, Config: map[string]any{"attention_bias": true}, PerHead: &testmodel.PerHead{LowRank: 3, RopeDims: 4}},
		"per head, split":      {KVHeads: 2, Untied: true, Theta: 500, PerHead: &testmodel.PerHead{LowRank: 4, RopeDims: 2, Split: true}},
		"per head, by rank":    {KVHeads: 2, PerHead: &testmodel.PerHead{LowRank: 6, RopeDims: 4, Ranks: ranks}},
	} {
		t.Run(name, func(t *testing.T) {
			f := m.Open(t)
			tokens := testmodel.Tokens(f32.QueriesAtOnce+21, f.Vocab, 1)
			got, want := logits(t, f, tokens), newNaive(t, f).logits(tokens)
			worst := 0.0
			for i, row := range want {
				for j, v := range row {
					worst = max(worst, math.Abs(float64(got.Data[i*got.Cols+j])-v)/(1+math.Abs(v)))
				}
			}
			if !(worst < 2e-4) {
				t.Errorf("logits are off by %g", worst)
			}
		})
	}
}

// TestRealCheckpoint runs the shipped checkpoint on its first story: the text is
// likely to it, and it is likely to both passes alike.
func TestRealCheckpoint(t *testing.T) {
	m := testmodel.Open(t, "../../testdata/stories260k")
	tokens := []int{1, 385, 328, 432, 261, 376, 298, 315, 421, 395, 317, 272, 277, 264, 261, 404, 266, 305, 322, 311}
	z, reference := logits(t, m, tokens), newNaive(t, m).logits(tokens)
	loss := func(row func(i int) float64, next int) float64 {
		sum := 0.0
		for i := range m.Vocab {
			sum += math.Exp(row(i))
		}
		return math.Log(sum) - row(next)
	}
	got, want := 0.0, 0.0
	for t := range len(tokens) - 1 {
		got += loss(func(i int) float64 { return float64(z.Data[t*z.Cols+i]) }, tokens[t+1]) / float64(len(tokens)-1)
		want += loss(func(i int) float64 { return reference[t][i] }, tokens[t+1]) / float64(len(tokens)-1)
	}
	if math.Abs(got-want) > 1e-5 {
		t.Errorf("loss %g, the naive pass has %g", got, want)
	}
	if got > 2 { // of ln 512 = 6.2
		t.Errorf("loss %g: this is not the model it should be", got)
	}
}

// TestLayerLeavesNoTrace: what a layer does to one sequence does not depend on
// others having run before.
func TestLayerLeavesNoTrace(t *testing.T) {
	m := testmodel.Llama{KVHeads: 2}.Open(t)
	tokens := testmodel.Tokens(30, m.Vocab, 2)
	first := logits(t, m, tokens)
	logits(t, m, testmodel.Tokens(50, m.Vocab, 3))
	again := logits(t, m, tokens)
	for i := range first.Data {
		if first.Data[i] != again.Data[i] {
			t.Fatal("differs")
		}
	}
}

func BenchmarkAttend(b *testing.B) {
	for _, dim := range []int{8, 64, 128} {
		x := f32.New(512, dim)
		for i := range x.Data {
			x.Data[i] = float32(i%17) / 17
		}
		out := f32.New(512, dim)
		b.Run(map[int]string{8: "dim8", 64: "dim64", 128: "dim128"}[dim], func(b *testing.B) {
			for b.Loop() {
				f32.Attention(out, x, x, x, 0.1, 0, nil)
			}
		})
	}
}

// TestCached: the hook sees every vector that would be cached, once, and what it
// makes of them is what the attention uses.
func TestCached(t *testing.T) {
	const T = 20
	for name, c := range map[string]struct {
		make testmodel.Llama
		want map[int]int // vectors by length, per layer and token
	}{
		"GQA":    {testmodel.Llama{KVHeads: 2}, map[int]int{8: 4}},
		"latent": {testmodel.Llama{Latent: &testmodel.Latent{Rank: 12, RopeDims: 4, NopeDim: 8, ValueDim: 8}}, map[int]int{12: 1, 4: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			m := c.make.Open(t)
			tokens := testmodel.Tokens(T, m.Vocab, 1)
			plain := logits(t, m, tokens)
			seen := make(map[int]int)
			watched, err := Decoder{Model: m, Cached: func(v f32.Matrix) { seen[v.Cols] += v.Rows }}.Logits(tokens)
			if err != nil {
				t.Fatal(err)
			}
			for length, n := range c.want {
				if seen[length] != n*T*m.Layers {
					t.Errorf("saw %d vectors of %d, want %d", seen[length], length, n*T*m.Layers)
				}
			}
			if len(seen) != len(c.want) || !slices.Equal(plain.Data, watched.Data) {
				t.Errorf("saw lengths %v, or watching changed the logits", seen)
			}
			silenced, err := Decoder{Model: m, Cached: silence}.Logits(tokens)
			if err != nil {
				t.Fatal(err)
			}
			if slices.Equal(plain.Data, silenced.Data) {
				t.Error("a cache of zeros changed nothing")
			}
		})
	}
}

// silence sets vectors to zero.
func silence(v f32.Matrix) {
	for t := range v.Rows {
		clear(v.Data[t*v.Stride : t*v.Stride+v.Cols])
	}
}

// TestHeldExperts: experts that stay in memory compute what those do that are read anew, also
// once nothing can be read any more.
func TestHeldExperts(t *testing.T) {
	m := testmodel.Llama{Kind: "deepseek"}.Open(t)
	held, err := Decoder{Model: m, Holds: true}.Layer(1)
	if err != nil {
		t.Fatal(err)
	}
	anew, err := Decoder{Model: m}.Layer(1)
	if err != nil {
		t.Fatal(err)
	}
	x, err := Decoder{Model: m}.Embed(testmodel.Tokens(40, m.Vocab, 3))
	if err != nil {
		t.Fatal(err)
	}
	want, err := anew.MLP(x)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		got, err := held.MLP(x)
		if err != nil || got.SquaredDistance(want) != 0 {
			t.Errorf("held experts differ by %g (%v)", got.SquaredDistance(want), err)
		}
		m.Source.Close()
	}
	if _, err := anew.MLP(x); err == nil {
		t.Error("experts are read from a file that is closed")
	}
}
