package convert

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/mha2mla/mha2mla/internal/report"
)

// card returns the text of the model card.
func (r *run) card() []byte {
	base := filepath.Base(filepath.Clean(r.Input))
	var b bytes.Buffer
	title, tag := "latent attention", "mla"
	if r.Target.MLA == nil && r.Target.PerHead == nil {
		title, tag = "fewer KV heads", "gqa"
	}
	fmt.Fprintf(&b, "---\nbase_model: %q\ntags:\n- %s\n- mha2mla\n---\n\n# %s with %s\n\n", base, tag, base, title)
	fmt.Fprintf(&b, "Converted from %s by mha2mla %s to %s. No weight was trained.\n\n", base, r.Version, r.Layout.About())
	fmt.Fprintf(&b, "    %s\n\n", r.command())
	fmt.Fprintf(&b, "| | before | after |\n|---|---|---|\n")
	fmt.Fprintf(&b, "| KV cache, floats per token and layer | %d | %d (%s) |\n", r.Cache.Before, r.Cache.After, report.Change(r.Cache.Saving))
	for _, f := range r.Layout.Facts(r.Source, r.Target) {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", f.Name, f.Before, f.After)
	}
	fmt.Fprintf(&b, "\nMeasure it against its source with `mha2mla verify SOURCE CONVERTED --tokens ids.json`.\n")
	return b.Bytes()
}

// command is the command that makes these weights again: every choice spelled
// out, and nothing that does not change them.
func (r *run) command() string {
	words := append([]string{"mha2mla convert"}, r.Layout.Flags()...)
	if r.Stats != nil {
		words = append(words, "--stats STATS")
	}
	if dtype := r.DType.Flag(); dtype != "" {
		words = append(words, "--dtype", dtype)
	}
	if r.Clamp {
		words = append(words, "--clamp")
	}
	return strings.Join(append(words, "IN", "OUT"), " ")
}
