package convert

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/report"
)

// card returns the text of the model card.
func (r *run) card() []byte {
	base := filepath.Base(filepath.Clean(r.Input))
	var b bytes.Buffer
	fmt.Fprintf(&b, "---\nbase_model: %q\ntags:\n- mla\n- mha2mla\n---\n\n# %s with latent attention\n\n", base, base)
	fmt.Fprintf(&b, "Converted from %s by mha2mla %s to multi-head latent attention, as a dense DeepSeek-V3\nthat stock engines load. No weight was trained.\n\n", base, r.Version)
	fmt.Fprintf(&b, "    %s\n\n", r.command())
	fmt.Fprintf(&b, "| | before | after |\n|---|---|---|\n")
	fmt.Fprintf(&b, "| KV cache, floats per token and layer | %d | %d (%s) |\n", r.Cache.Before, r.Cache.After, report.Change(r.Cache.Saving))
	fmt.Fprintf(&b, "| kv_lora_rank | | %d |\n| qk_rope_head_dim | | %d |\n| rope_theta | %g | %g |\n", r.Target.MLA.KVLoraRank, r.Target.MLA.RopeDim, r.Source.RopeTheta, r.Target.RopeTheta)
	fmt.Fprintf(&b, "\nMeasure it against its source with `mha2mla verify SOURCE CONVERTED --tokens ids.json`.\n")
	return b.Bytes()
}

// command is the command that makes these weights again: every choice spelled
// out, and nothing that does not change them.
func (r *run) command() string {
	m := r.Maths
	words := []string{"mha2mla convert", "--kv-lora-rank", fmt.Sprint(m.Rank)}
	if m.Threshold > 0 {
		words = append(words, "--rope-threshold", fmt.Sprint(m.Threshold))
	} else {
		words = append(words, "--rope-dims", fmt.Sprint(m.RopeDims))
	}
	words = append(words, methodWords(m)...)
	words = append(words, "--latent-norm", string(r.Layout.LatentNorm))
	if r.Stats != nil {
		words = append(words, "--stats STATS")
	}
	switch {
	case m.QueryRank > 0:
		words = append(words, "--q-lora", fmt.Sprint(m.QueryRank))
	case r.Layout.QLoraRank > 0:
		words = append(words, "--q-lora exact")
	}
	if r.Layout.Padded() {
		words = append(words, "--pad-to-kernel")
	}
	if r.DType != "" {
		words = append(words, "--dtype", strings.ToLower(string(r.DType)))
	}
	return strings.Join(append(words, "IN", "OUT"), " ")
}

// methodWords are the flags of the method and of what it leaves open.
func methodWords(m mla.Options) []string {
	if m.Method != mla.MethodTransMLA {
		return []string{"--rope-theta", fmt.Sprint(m.RopeTheta), "--rope-select", string(m.Select), "--weights", string(m.Weights)}
	}
	words := []string{"--method", string(m.Method)}
	if m.FreqFold > 0 {
		words = append(words, "--freq-fold", fmt.Sprint(m.FreqFold))
	}
	return words
}
