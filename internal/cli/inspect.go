package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mha2mla/mha2mla/internal/budget"
	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/report"
	"github.com/mha2mla/mha2mla/internal/search"
	"github.com/mha2mla/mha2mla/internal/study"
)

// inspectFlags are the flags of inspect.
type inspectFlags struct {
	plan.Request
	statsFlags
	config  string
	picture string
	force   bool
	compare string
}

func newInspect() *cobra.Command {
	var o inspectFlags
	cmd := &cobra.Command{
		Use:   "inspect [flags] IN",
		Short: "Show what a conversion would keep and lose",
		Long: `inspect prints, for every layer of the checkpoint IN, how sensitive attention is
to each rotary pair, which pairs would keep their rotation, the rank that keeps
90, 95 and 99 % of the energy of the stacked keys and values, and the size of the
KV cache at a few ranks. Without --stats it goes by the weights alone, where convert
makes statistics of its own. Nothing is written but the picture that --plot names.
With --compare it converts the checkpoint by this program's method and by the
published ones, at a few sizes of the cache or at --cache, and prints how far each
is from the source.

  mha2mla inspect model/
  mha2mla inspect --plot sensitivity.png model/
  mha2mla inspect --json model/ | jq '.layers[0].share'
  mha2mla inspect --compare ids.json --stats model.stats model/
` + exitHelp,
	}
	takes(cmd, "IN")
	sizeFlags(cmd, &o.Request)
	o.sharedFlags(cmd)
	cmd.Flags().StringVar(&o.compare, "compare", "", "convert by every method and measure on this text or these token ids instead (`FILE`)")
	o.amountFlags(cmd, compareTokens)
	config := configFlag(cmd, "config")
	cmd.Flags().StringVar(&o.picture, "plot", "", "draw the sensitivity as a heat map, layer × pair (`FILE`.png or .svg)")
	cmd.Flags().BoolVar(&o.force, "force", false, "replace the picture if it exists")
	heads := cmd.Flags().BoolP("verbose", "v", false, "the sensitivity of every head, too")
	output := uiFlags(cmd)
	cmd.RunE = failing(func(cmd *cobra.Command, args []string) error {
		if format := pictureFormat(o.picture); o.picture != "" && format != "png" && format != "svg" {
			return &usageError{what: fmt.Sprintf("--plot %q: no picture format of that name", o.picture), tip: "end the name in .png or .svg"}
		}
		if err := o.Check(); err != nil {
			return err
		}
		o.config = *config
		if o.compare != "" {
			r, err := runCompare(cmd.Context(), output(), &o, args[0])
			if err != nil {
				return err
			}
			return output().result(r, func(w io.Writer) error { return printComparison(w, r) })
		}
		r, err := runInspect(cmd.Context(), output(), &o, args[0])
		if err != nil {
			return err
		}
		return output().result(r, func(w io.Writer) error { return printInspection(w, r, *heads) })
	})
	return cmd
}

// runInspect inspects the checkpoint in, and draws a picture if one is named.
func runInspect(ctx context.Context, u *ui, o *inspectFlags, in string) (*study.Inspection, error) {
	m, err := openSource(in, o.config)
	if err != nil {
		return nil, err
	}
	defer m.Source.Close()
	if o.picture != "" { // before the work, which takes time
		if err := checkpoint.CheckOutput(m.Source, filepath.Dir(o.picture), []string{filepath.Base(o.picture)}, false, o.force); err != nil {
			return nil, err
		}
	}
	if o.Method == mla.MethodGroupedMean {
		return nil, &usageError{what: fmt.Sprintf("--method %s has no latent to inspect", o.Method), tip: "convert, and verify the result"}
	}
	stats, done, err := o.open(m)
	if err != nil {
		return nil, err
	}
	defer done()
	data := plan.Data{Statistics: plan.Absent}
	if stats != nil {
		data.Statistics = plan.Present
	}
	choices, err := plan.Choose(o.Request, m, data)
	if err != nil {
		return nil, err
	}
	if err := enoughMemory(baseMemory + budget.LayerMemory(m.Shape(), choices.Maths(choices.Sizes()), stats != nil)); err != nil {
		return nil, err
	}
	input := mla.Input{Model: m, Stats: stats, Method: choices.Method()}
	sizes, err := searched(ctx, u, search.Task{Input: input, Choices: choices})
	if err != nil {
		return nil, err
	}
	progress, finish := u.progress("inspecting")
	defer finish()
	r, err := study.Inspect(ctx, input, choices, sizes, progress)
	if err != nil || o.picture == "" {
		return r, err
	}
	return r, drawPicture(r, m.Source, o.picture, o.force)
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
	fmt.Fprintf(t, "\nkv_lora_rank\tdkv\tcache, floats per token and layer\tsaving\tenergy kept\n")
	for _, c := range r.Cache {
		fmt.Fprintf(t, "%d\t%.4g\t%d + %d = %d\t%.1f %%\t%.2f %%\n", c.Rank, c.DKV, c.Rank, r.Rotary, c.Floats, 100*c.Saving, 100*c.Energy)
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

// pictureFormat is the format that the name of a picture asks for.
func pictureFormat(path string) string {
	return strings.TrimPrefix(strings.ToLower(filepath.Ext(path)), ".")
}

// drawPicture draws the sensitivities of all layers of in.
func drawPicture(r *study.Inspection, in *checkpoint.Source, path string, force bool) (err error) {
	h := &report.HeatMap{
		Title: "RoPE sensitivity of " + filepath.Base(filepath.Clean(in.Path)),
		Rows:  "layer", Columns: "rotary pair, fast to slow",
		Scale: "share of the layer's sensitivity", Mark: "keeps its rotation",
	}
	for _, l := range r.Layers {
		h.Share = append(h.Share, l.Share)
		h.Marked = append(h.Marked, l.Kept)
	}
	name := filepath.Base(path)
	out, err := checkpoint.NewOutput(in, filepath.Dir(path), []string{name}, false, force)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Discard()) }()
	var picture bytes.Buffer
	if err := h.Write(&picture, pictureFormat(path)); err != nil {
		return err
	}
	if err := out.WriteFile(name, picture.Bytes()); err != nil {
		return err
	}
	return out.Commit()
}
