package family

import "github.com/mha2mla/mha2mla/internal/option"

// internlm2 is InternLM2ForCausalLM. It keeps the projections to queries, keys and
// values in one tensor. Its rows are those of one KV head after the other: first the
// query heads that share the KV head, then its key, then its value.
var internlm2 = Family{
	Type: "internlm2", Class: "InternLM2ForCausalLM",
	Models: "InternLM2, InternLM2.5",
	How:    option.Plain("fused projections are taken apart; dynamic RoPE scaling holds up to max_position_embeddings"),
	read: func(f *fields, m *Model) error {
		if err := f.standard(m); err != nil || f.err != nil {
			return err
		}
		const most = 1 << 16 // the rows of each KV head are listed, so a false number would fill the memory
		f.check(m.KVHeads <= most, "%q is %d and must be at most 2^16", "num_key_value_heads", m.KVHeads)
		if f.err != nil {
			return nil
		}
		m.Biases = f.boolean("bias")
		m.OutputBias = m.Biases
		m.keep(Embedding, "model.tok_embeddings.weight")
		m.keep(Head, "output.weight")
		m.keep(InputNorm, "attention_norm.weight")
		m.keep(MLPNorm, "ffn_norm.weight")
		m.keep(OProj, "attention.wo.weight")
		m.keep(OBias, "attention.wo.bias")
		m.keep(GateProj, "feed_forward.w1.weight")
		m.keep(DownProj, "feed_forward.w2.weight")
		m.keep(UpProj, "feed_forward.w3.weight")
		group, D := int64(m.Heads/m.KVHeads), int64(m.HeadDim)
		for _, part := range []struct {
			weight, bias string
			from, heads  int64 // which of the heads that the tensor keeps together for one KV head
		}{{QProj, QBias, 0, group}, {KProj, KBias, group, 1}, {VProj, VBias, group + 1, 1}} {
			var where []rows
			for g := range int64(m.KVHeads) {
				where = append(where, rows{(g*(group+2) + part.from) * D, part.heads * D})
			}
			m.keep(part.weight, "attention.wqkv.weight", where...)
			m.keep(part.bias, "attention.wqkv.bias", where...)
		}
		return nil
	},
}
