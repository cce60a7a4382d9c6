package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mha2mla/mha2mla/internal/job"
	"github.com/mha2mla/mha2mla/internal/report"
	"github.com/mha2mla/mha2mla/internal/verify"
)

func newVerify() *cobra.Command {
	var o job.Verification
	var integrity bool
	cmd := &cobra.Command{
		Use:   "verify [flags] SOURCE CONVERTED",
		Short: "Measure a converted checkpoint, or see that it is whole",
		Long: `verify runs both checkpoints in float32, with the semantics of the stock
classes, on the tokens of a file of ids or of a text. It prints the perplexity
of each, the divergence KL(source‖converted) per token, all together and by
position in the window, which --window sets, up to the model's
max_position_embeddings, how often both find the same token most likely, the
error of every layer's attention output given the source's input, and the
cache bytes per token before and after. With --cache-bits it does so with what
CONVERTED caches quantised: in groups of up to 64, with a scale and a zero
point of 16 bits each. If CONVERTED was healed, it repeats from the manifest
what that has won, on tokens of the calibration that were held out.

With --logprobs, FILE gets a line of JSON for every token that has a
predecessor in its window: the window, the position, the token, and the
natural logarithm of the probability that each model gave it, as "source" and
"converted". So a model can be compared, token by token, with what an engine
says of it.

With --integrity, it reads every file of CONVERTED instead and compares it
with the manifest that convert has written (mha2mla.json, beside a file
NAME.safetensors NAME.mha2mla.json, beside others NAME.gguf.mha2mla.json):
what is changed, missing or there besides is named, by tensor where it is one,
and the exit status is 4. Names that begin with a dot are not looked at.`,
		Example: `  mha2mla verify model/ converted/ --tokens ids.json
  mha2mla verify model/ converted/ --tokens ids.json --max-kl 0.1 --json
  mha2mla verify model/ converted/ --tokens ids.json --cache-bits 4
  mha2mla verify model/ converted/ --tokens ids.json --logprobs tokens.jsonl
  mha2mla verify --integrity converted/`,
	}
	takes(cmd, "SOURCE", "CONVERTED")
	both := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if integrity {
			return exactly("CONVERTED")(cmd, args)
		}
		return both(cmd, args)
	}
	f := cmd.Flags()
	sourceFlags(cmd, &o.Reading, "to compare on")
	amountFlags(cmd, &o.Reading, "")
	wish(f, &o.MaxKL, "max-kl", "X", "", "exit with status 7 if the divergence is above X nats per token", pointerTo(nonNegativeNumber))
	flag(f, &o.CacheBits, "cache-bits", "B", "", "quantise what CONVERTED would cache to so many bits: 8, 4, 2 (default: not at all)", cacheBits).choices = []string{"8", "4", "2"}
	f.StringVar(&o.LogProbs.File, "logprobs", "", "write the log-probability of every token in both models to `FILE`, as JSON lines")
	f.BoolVar(&o.LogProbs.Force, "force", false, "replace the file of --logprobs if it exists")
	f.BoolVar(&integrity, "integrity", false, "compare CONVERTED, bit for bit, with its manifest")
	ranksFlag(cmd, &o.Ranks)
	configFlag(cmd, &o.SourceConfig, "config")
	configFlag(cmd, &o.ConvertedConfig, "converted-config")
	output := uiFlags(cmd)
	cmd.RunE = failing(func(cmd *cobra.Command, args []string) error {
		if integrity {
			return runIntegrity(cmd.Context(), output(), args[0])
		}
		o.Source, o.Converted = args[0], args[1]
		return runVerify(cmd.Context(), output(), o)
	})
	return cmd
}

// cacheBits parses the values of --cache-bits.
func cacheBits(text string) (int, error) {
	word, err := oneOf("8", "4", "2")(text)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(word)
}

// runVerify compares, prints what was measured, and only then fails if it is too much.
func runVerify(ctx context.Context, u *ui, o job.Verification) error {
	r, err := o.Run(ctx, u)
	if err != nil {
		return err
	}
	v := verification{r.Report, healingOf(r.Conversion), distilledOf(r.Conversion)}
	if err := u.result(v, v.print); err != nil {
		return err
	}
	return o.Judge(r)
}

// verification is what was measured, and what the manifest says of healing and training. Its
// fields are the JSON output.
type verification struct {
	*verify.Report
	Healing    *healing   `json:"healing,omitempty"`
	Distilling *distilled `json:"distilling,omitempty"`
}

// print prints the verification for people.
func (r verification) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\tsource\tconverted\n")
	fmt.Fprintf(t, "perplexity\t%.4f\t%.4f\n", r.Source.Perplexity, r.Converted.Perplexity)
	fmt.Fprintf(t, "cache, floats per token and layer\t%d\t%d\n", r.Cache.SourceFloats, r.Cache.ConvertedFloats)
	fmt.Fprintf(t, "cache, bytes per token\t%d\t%d (%s)\n", r.Cache.SourceBytes, r.Cache.ConvertedBytes, report.Change(r.Cache.Saving))
	printRanks(t, r.Cache.Ranks)
	if q := r.Cache.Quantised; q != nil {
		fmt.Fprintf(t, "with %d bits a number, bytes per token\t\t%.10g (%s)\n", q.Bits, q.Size, report.Change(q.Saving))
		fmt.Fprintf(t, "scales and zero points left out, as papers do\t\t%s\n", report.Change(q.Codes))
	}
	fmt.Fprintf(t, "\nKL(source‖converted)\t%.6f nats per token\n", r.KL)
	for _, p := range r.Positions {
		fmt.Fprintf(t, "  positions %d–%d\t%.6f\n", p.From, p.To, p.KL)
	}
	fmt.Fprintf(t, "same most likely token\t%.2f %%\n", 100*r.Top1)
	fmt.Fprintf(t, "tokens\t%d in %d windows of up to %d\n", r.Tokens, r.Windows, r.Window)
	fmt.Fprintf(t, "\nlayer\terror of the attention output\n")
	for _, l := range r.Layers {
		fmt.Fprintf(t, "%d\t%.4f\n", l.Layer, l.Error)
	}
	if r.Healing != nil || r.Distilling != nil {
		fmt.Fprintf(t, "\nhealing, when it was converted\n")
	}
	return errors.Join(t.Flush(), r.Healing.print(w), r.Distilling.print(w))
}
