package plan_test

import (
	"errors"
	"math"
	"testing"

	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/plan"
)

// TestFamilies: what is kept fused or under other names comes out under canonical
// names, as copies where nothing is multiplied.
func TestFamilies(t *testing.T) {
	type want struct {
		from   string
		action plan.Action
		factor float64
	}
	gate, down := family.InLayer(1, family.GateProj), family.InLayer(1, family.DownProj)
	for kind, tensors := range map[string]map[string]want{
		"phi3": {
			gate:                             {"model.layers.1.mlp.gate_up_proj.weight", plan.Copy, 0},
			family.InLayer(1, family.UpProj): {"model.layers.1.mlp.gate_up_proj.weight", plan.Copy, 0},
			down:                             {down, plan.Convert, math.Sqrt(0.1)},
		},
		"internlm2": {
			gate:             {"model.layers.1.feed_forward.w1.weight", plan.Copy, 0},
			family.Embedding: {"model.tok_embeddings.weight", plan.Convert, math.Sqrt(0.1)},
			family.Head:      {"model.tok_embeddings.weight", plan.Copy, 0}, // tied
		},
		"granite": {
			gate:             {gate, plan.Copy, 0},
			down:             {down, plan.Convert, 0.6 * math.Sqrt(0.1)},
			family.Embedding: {family.Embedding, plan.Convert, 2.5 * math.Sqrt(0.1)},
			family.Head:      {family.Embedding, plan.Convert, 1. / 3},
		},
	} {
		p := newPlan(t, testmodel.Llama{Kind: kind}.Open(t), "out", plan.Request{})
		for name, want := range tensors {
			got := find(p, name)
			if got == nil || got.From != want.from || got.Action != want.action || math.Abs(got.Factor-want.factor) > 1e-12 {
				t.Errorf("%s: %s: %+v, want %+v", kind, name, got, want)
			}
		}
		for _, gone := range []string{"model.layers.0.self_attn.qkv_proj.weight", "model.tok_embeddings.weight", "model.layers.0.attention.wo.weight"} {
			if find(p, gone) != nil {
				t.Errorf("%s: %s is still there", kind, gone)
			}
		}
	}
}

// TestKeptClass: layouts that keep the class of the source take what can be written
// for that class again, and refuse the rest.
func TestKeptClass(t *testing.T) {
	yarn := testmodel.Llama{KVHeads: 2, Config: map[string]any{"rope_scaling": map[string]any{"type": "yarn", "factor": 4}}}
	for _, c := range []struct {
		make      testmodel.Llama
		o         plan.Request
		supported bool
	}{
		{testmodel.Llama{KVHeads: 2}, plan.Request{Layout: layout.FormReference}, true},
		{testmodel.Llama{Kind: "mistral", KVHeads: 2}, plan.Request{Layout: layout.FormReference}, false},
		{yarn, plan.Request{Layout: layout.FormReference}, false},
		{testmodel.Llama{Kind: "mistral", KVHeads: 2}, plan.Request{Method: mla.MethodGroupedMean}, true},
		{testmodel.Llama{Kind: "mistral", KVHeads: 2, Config: map[string]any{"sliding_window": 16}}, plan.Request{Method: mla.MethodGroupedMean}, true},
		{yarn, plan.Request{Method: mla.MethodGroupedMean}, false},
		{testmodel.Llama{Kind: "granite", KVHeads: 2}, plan.Request{Method: mla.MethodGroupedMean}, false},
		{testmodel.Llama{Kind: "qwen2", KVHeads: 2}, plan.Request{Method: mla.MethodGroupedMean}, false},
		{testmodel.Llama{Kind: "qwen3", KVHeads: 2}, plan.Request{Method: mla.MethodGroupedMean}, false},
		{testmodel.Llama{Kind: "phi3", KVHeads: 2}, plan.Request{Method: mla.MethodGroupedMean}, false},
	} {
		o := c.o
		if o.Method == mla.MethodGroupedMean {
			o.Cache = 16 // one KV head
		}
		_, err := sizes(c.make.Open(t), o)
		if refused := errors.As(err, new(*plan.UnsupportedError)); refused == c.supported || c.supported && err != nil {
			t.Errorf("%s, %+v: %v", c.make.Kind, c.o, err)
		}
	}
}
