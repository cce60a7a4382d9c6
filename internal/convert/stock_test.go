package convert_test

import (
	"path/filepath"
	"testing"

	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/engine"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/plan"
)

// TestStock converts every checkpoint that a stock class has made, at full rank and with all
// pairs in the rotary key: what is written computes what the stock class does with the source,
// but for the 5e-5 of gain that the linear norm of each layer leaves (design §6).
func TestStock(t *testing.T) {
	testmodel.EachStock(t, "../..", func(t *testing.T, s testmodel.Stock) {
		m := testmodel.Open(t, s.Dir)
		switch {
		case m.MLA != nil:
			t.Skip("it has latent attention")
		case m.KVHeads > 1:
			t.Skip("the slots of a rotary key turn at one frequency each, the pairs of all KV heads at the same")
		case m.HeadNorms:
			t.Skip("norms on queries and keys are approximated")
		}
		o := plan.Request{Rank: plan.MaxRank(m), RopeDims: m.Turning(), Theta: m.RopeTheta, DType: "F32"}
		if m.Biases {
			o.Bias = mla.BiasHF
		}
		if m.MoE != nil && m.MoE.Renorm && m.MoE.Score == family.Softmax {
			o.Target = engine.VLLM
		}
		out := filepath.Join(t.TempDir(), "out")
		if _, err := convertTo(m, out, o, convert.Options{}); err != nil {
			t.Fatal(err)
		}
		off := s.Off(logits(t, testmodel.Open(t, out), s.Tokens))
		t.Logf("off by %.2g", off)
		if !(off < 3e-4) {
			t.Errorf("logits are off by %g", off)
		}
	})
}
