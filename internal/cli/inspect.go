package cli

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mha2mla/mha2mla/internal/job"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/report"
	"github.com/mha2mla/mha2mla/internal/study"
)

func newInspect() *cobra.Command {
	var o study.Question
	var text job.Reading
	var compare string
	cmd := &cobra.Command{
		Use:   "inspect [flags] IN",
		Short: "Show what a conversion would keep and lose",
		Long: `inspect prints, for every layer of the checkpoint IN, how sensitive attention
is to each rotary pair, which pairs would keep their rotation, the rank that
keeps 90, 95 and 99 % of the energy of the stacked keys and values, and the
size of the KV cache at a few ranks. Without --stats it goes by the weights
alone, where convert makes statistics of its own. Nothing is written but the
picture that --plot names. With --compare it converts the checkpoint by this
program's method and by the published ones, at a few sizes of the cache or at
--cache, and prints how far each is from the source.`,
		Example: `  mha2mla inspect model/
  mha2mla inspect --plot sensitivity.png model/
  mha2mla inspect --json model/ | jq '.layers[0].share'
  mha2mla inspect --compare ids.json --stats model.stats model/`,
	}
	takes(cmd, "IN")
	sizeFlags(cmd, &o.Request)
	statsFlag(cmd, &o.Stats)
	ranksFlag(cmd, &o.Ranks)
	cmd.Flags().StringVar(&compare, "compare", "", "convert by every method instead, and measure on the text or the token ids in `FILE`")
	amountFlags(cmd, &text, compareTokens)
	configFlag(cmd, &o.Config, "config")
	cmd.Flags().StringVar(&o.File, "plot", "", "draw the sensitivity as a heat map, layer × pair, in `FILE`.png or .svg")
	cmd.Flags().BoolVar(&o.Force, "force", false, "replace the picture if it exists")
	heads := cmd.Flags().BoolP("verbose", "v", false, "the sensitivity of every head, too")
	output := uiFlags(cmd)
	cmd.RunE = failing(func(cmd *cobra.Command, args []string) error {
		if o.File != "" && !o.Drawable() {
			return &usageError{what: fmt.Sprintf("--plot %q: no picture format of that name", o.File), tip: "end the name in .png or .svg"}
		}
		if err := o.Check(); err != nil {
			return err
		}
		o.In = args[0]
		u := output()
		if compare != "" {
			text.From(compare)
			r, err := o.Compare(cmd.Context(), u, text)
			if err != nil {
				return err
			}
			return u.result(r, func(w io.Writer) error { return printComparison(w, r) })
		}
		r, err := o.Inspect(cmd.Context(), u)
		if err != nil {
			return err
		}
		return u.result(r, func(w io.Writer) error { return printInspection(w, r, *heads) })
	})
	return cmd
}

// printInspection prints the report for people.
func printInspection(w io.Writer, r *study.Inspection, heads bool) error {
	fmt.Fprintf(w, "Sensitivity to the loss of rotation, by rotary pair from fast to slow\n")
	fmt.Fprintf(w, "(█ a tenth of the layer's or more … ▁ a thousandth); ● keeps its rotation\n%s.\n\n", rotaryKeys(r))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\tsensitivity\tkept\trank for 90 %%\t95 %%\t99 %%\n")
	for _, l := range r.Layers {
		fmt.Fprintf(t, "layer %d\t%s\t%s\t%d\t%d\t%d\n", l.Layer, report.Blocks(l.Share), report.Marks(l.Kept), l.Rank90, l.Rank95, l.Rank99)
		if heads {
			printHeads(t, l)
		}
	}
	ranks, onRank := "", func(study.Cache) string { return "" }
	if r.Source > 0 {
		ranks = fmt.Sprintf("\tbytes per token and rank, of %d", r.Source)
		onRank = func(c study.Cache) string { return fmt.Sprintf("\t%d", c.Bytes) }
	}
	fmt.Fprintf(t, "\nkv_lora_rank\tdkv\tcache, floats per token and layer\tsaving\tenergy kept%s\n", ranks)
	for _, c := range r.Cache {
		fmt.Fprintf(t, "%d\t%.4g\t%d + %d = %d\t%.1f %%\t%.2f %%%s\n", c.Rank, c.DKV, c.Rank, r.Rotary, c.Floats, 100*c.Saving, 100*c.Energy, onRank(c))
	}
	return t.Flush()
}

// rotaryKeys says what carries the rotation.
func rotaryKeys(r *study.Inspection) string {
	if r.Layout == layout.FormReference {
		return fmt.Sprintf("in some KV head, each of which has a rotary key of %d dimensions", r.Sizes.RopeDims)
	}
	scaled := ""
	if s := r.Sizes.Scaling; s != nil {
		scaled = " with " + s.Kind
	}
	return fmt.Sprintf("with a rotary key of %d dimensions at rope_theta %.9g%s", r.Sizes.RopeDims, r.Sizes.Theta, scaled)
}

// printHeads prints the sensitivities of each head of a layer, as shares of the
// layer's.
func printHeads(w io.Writer, l study.Layer) {
	total := 0.0
	for _, head := range l.Sensitivity {
		for _, v := range head {
			total += v
		}
	}
	for h, head := range l.Sensitivity {
		shares := make([]float64, len(head))
		for i, v := range head {
			if total > 0 {
				shares[i] = v / total
			}
		}
		fmt.Fprintf(w, "  head %d\t%s\t\t\t\t\n", h, report.Blocks(shares))
	}
}
