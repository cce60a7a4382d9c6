package convert

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/mha2mla/mha2mla/internal/engine"
	"github.com/mha2mla/mha2mla/internal/export"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/report"
)

// card returns the text of the model card.
func (r *run) card() []byte {
	base := export.BaseModel(r.Input)
	var b bytes.Buffer
	title, tag := "latent attention", "mla"
	if r.Target.MLA == nil && r.Target.PerHead == nil {
		title, tag = "fewer KV heads", "gqa"
	}
	fmt.Fprintf(&b, "---\nbase_model: %q\nlibrary_name: transformers\n", base)
	for _, line := range export.CardLines(r.Source.Source) {
		fmt.Fprintln(&b, line)
	}
	fmt.Fprintf(&b, "tags:\n- %s\n- mha2mla\n---\n\n# %s with %s\n\n", tag, base, title)
	b.WriteString(r.caution())
	fmt.Fprintf(&b, "Converted from %s by mha2mla %s to %s. %s\n\n", base, r.Version, r.Layout.About(), r.training())
	fmt.Fprintf(&b, "    %s\n\n", r.command())
	fmt.Fprintf(&b, "| | before | after |\n|---|---|---|\n")
	fmt.Fprintf(&b, "| KV cache, floats per token and layer | %d | %d (%s) |\n", r.Cache.Before, r.Cache.After, report.Change(r.Cache.Saving))
	for _, f := range r.Layout.Facts(r.Source, r.Target) {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", f.Name, f.Before, f.After)
	}
	mean, least, at := r.energy()
	fmt.Fprintf(&b, "| energy of keys and values, %s | 100 %% | %.2f %% (least: %.2f %%, layer %d) |\n", r.measure(), 100*mean, 100*least, at)
	if h := r.result.HeldOut; h != nil {
		fmt.Fprintf(&b, "\nOn %d tokens that were held out of the statistics, KL(source‖converted) is %.4f nats per token.\n", h.Tokens, h.KL)
	}
	for i, a := range r.result.Approximations(r.Plan, r.Stats != nil) {
		if i == 0 {
			fmt.Fprintf(&b, "\nApproximated, beside what the smaller cache costs:\n\n")
		}
		fmt.Fprintf(&b, "- %s\n", a.What)
	}
	if r.Engine != "" {
		fmt.Fprintf(&b, "\nEngines that load it: %s. `mha2mla check` says why others do not.\n", strings.Join(r.Loaders(), ", "))
	}
	fmt.Fprintf(&b, "\nMeasure it against its source with `mha2mla verify SOURCE CONVERTED %s`.\n", r.words()(option.Tokens.Is("ids.json")))
	return b.Bytes()
}

// caution says, before all else, for which engine the output is made if it is one, and which
// engines compute something else.
func (r *run) caution() string {
	wrong := strings.Join(r.Misreaders(), ", ")
	switch {
	case r.Engine == "":
		return ""
	case r.Engine != engine.All && wrong != "":
		return fmt.Sprintf("**Made for %s alone.** These engines load it without a word, and compute something else: %s.\n\n", r.Engine, wrong)
	case r.Engine != engine.All:
		return fmt.Sprintf("**Made for %s alone.**\n\n", r.Engine)
	case wrong != "":
		return fmt.Sprintf("**Careful:** these engines load it without a word, and compute something else: %s.\n\n", wrong)
	}
	return ""
}

// training says in a sentence or two what of the weights was trained.
func (r *run) training() string {
	healing, distilling := r.result.Healing, r.result.Distilling
	said := "No weight was trained."
	if healing != nil {
		said = fmt.Sprintf("The attention of every\nlayer was then fitted to the source's on calibration text: on text held out the relative square\nerror of the residual stream behind the last layer went from %.3g to %.3g.", healing.Before, healing.After)
	}
	if distilling != nil && distilling.Steps > 0 {
		said = strings.TrimPrefix(said, "No weight was trained.") + fmt.Sprintf("\nThe attention of all layers was then trained together in %d steps: on text held out\nKL(source‖converted) went from %.4f to %.4f nats per token.", distilling.Steps, distilling.Before, distilling.After)
	}
	return strings.TrimSpace(said)
}

// energy is the share of the energy of keys and values that is kept: of all
// layers in the mean, and the least of one, with its number.
func (r *run) energy() (mean, least float64, at int) {
	least = 2
	for _, l := range r.result.Layers {
		mean += l.Energy / float64(len(r.result.Layers))
		if l.Energy < least {
			least, at = l.Energy, l.Layer
		}
	}
	return mean, least, at
}

// measure says what the energy is measured by.
func (r *run) measure() string {
	if r.Stats != nil {
		return "by statistics of activations"
	}
	return "without data"
}

// command is the command that makes these weights again.
func (r *run) command() string {
	words := []string{"mha2mla convert"}
	for _, setting := range r.Plan.Words(r.dataSettings()...) {
		words = append(words, r.words()(setting))
	}
	out := "OUT"
	if r.Keys != nil {
		out = "OUT.gguf"
	}
	return strings.Join(append(words, "IN", out), " ")
}

// words is how settings are written for whoever reads the output.
func (r *run) words() option.Words {
	if r.Options.Words == nil {
		return option.Setting.String
	}
	return r.Options.Words
}
