package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/fault"
	"github.com/mha2mla/mha2mla/internal/report"
	"github.com/mha2mla/mha2mla/internal/verify"
)

// verifyFlags are the flags of verify.
type verifyFlags struct {
	textFlags
	maxKL           float64
	cacheBits       int
	sourceConfig    string
	convertedConfig string
	integrity       bool
}

func newVerify() *cobra.Command {
	var o verifyFlags
	cmd := &cobra.Command{
		Use:   "verify [flags] SOURCE CONVERTED",
		Short: "Measure how far a converted checkpoint is from its source, or that it is whole",
		Long: `verify runs both checkpoints in float32, with the semantics of the stock
classes, on the tokens of a file of ids or of a text. It prints the perplexity of each, the divergence KL(source‖converted) per token, all
together and by position in the window, which --window sets, up to the model's
max_position_embeddings, how often both find the same token most likely, the error of every layer's attention
output given the source's input, and the cache bytes per token before and after.
With --cache-bits it does so with what CONVERTED caches quantised: in groups of up
to 64, with a scale and a zero point of 16 bits each. If CONVERTED was healed, it
repeats from the manifest what that has won, on tokens of the calibration that were
held out.

  mha2mla verify model/ converted/ --tokens ids.json
  mha2mla verify model/ converted/ --tokens ids.json --max-kl 0.1 --json
  mha2mla verify model/ converted/ --tokens ids.json --cache-bits 4

With --integrity, it reads every file of CONVERTED instead and compares it with the
manifest that convert has written (mha2mla.json, beside a file NAME.mha2mla.json):
what is changed, missing or there besides is named, by tensor where it is one, and
the exit status is 4. Names that begin with a dot are not looked at.

  mha2mla verify --integrity converted/
` + exitHelp,
	}
	takes(cmd, "SOURCE", "CONVERTED")
	both := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if o.integrity {
			return exactly("CONVERTED")(cmd, args)
		}
		return both(cmd, args)
	}
	f := cmd.Flags()
	o.sourceFlags(cmd, "to compare on")
	o.amountFlags(cmd, "")
	o.maxKL = math.Inf(1)
	flag(f, &o.maxKL, "max-kl", "X", "", "exit with status 7 if the divergence is above X nats per token", nonNegativeNumber)
	flag(f, &o.cacheBits, "cache-bits", "B", "", "quantise what CONVERTED would cache to so many bits: 8, 4, 2 (default: not at all)", cacheBits).choices = []string{"8", "4", "2"}
	f.BoolVar(&o.integrity, "integrity", false, "compare CONVERTED, bit for bit, with its manifest")
	config := configFlag(cmd, "config")
	convertedConfig := configFlag(cmd, "converted-config")
	output := uiFlags(cmd)
	cmd.RunE = failing(func(cmd *cobra.Command, args []string) error {
		if o.integrity {
			return runIntegrity(cmd.Context(), output(), args[0])
		}
		o.sourceConfig, o.convertedConfig = *config, *convertedConfig
		return runVerify(cmd.Context(), output(), o, args[0], args[1])
	})
	return cmd
}

// thresholdError says that a verification is past its threshold.
type thresholdError struct {
	kl, most float64
	about    string // on which tokens, and what follows; may be empty
}

func (e *thresholdError) Error() string {
	return fmt.Sprintf("KL %.6g is above --max-kl %.6g%s", e.kl, e.most, e.about)
}

// Kind says that a measure is past its bound.
func (e *thresholdError) Kind() fault.Kind { return fault.Threshold }

// Hint says what to do about the error.
func (e *thresholdError) Hint() string {
	return "convert with a larger --cache, more text with --calibrate, or --heal"
}

// cacheBits parses the values of --cache-bits.
func cacheBits(text string) (int, error) {
	word, err := oneOf("8", "4", "2")(text)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(word)
}

// options returns what the flags say of the comparison itself.
func (o *verifyFlags) options() []verify.Option {
	if o.cacheBits == 0 {
		return nil
	}
	return []verify.Option{verify.CacheBits(o.cacheBits)}
}

func runVerify(ctx context.Context, u *ui, o verifyFlags, sourcePath, convertedPath string) error {
	source, err := open(sourcePath, o.sourceConfig)
	if err != nil {
		return err
	}
	defer source.Source.Close()
	converted, err := open(convertedPath, o.convertedConfig)
	if err != nil {
		return err
	}
	defer converted.Source.Close()
	windows, err := o.windows(ctx, source)
	if err != nil {
		return err
	}
	if err := enoughMemory(baseMemory + verify.Memory(source, converted, windows)); err != nil {
		return err
	}
	conversion, err := convert.ReadResult(convertedPath)
	if err != nil {
		return err
	}
	compared, finish := u.progress("verifying")
	r, err := verify.Compare(ctx, source, converted, windows, compared, o.options()...)
	finish()
	if err != nil {
		return err
	}
	v := verification{r, healingOf(conversion)}
	if err := u.result(v, v.print); err != nil {
		return err
	}
	if r.KL > o.maxKL {
		return &thresholdError{kl: r.KL, most: o.maxKL}
	}
	return nil
}

// verification is what was measured, and what the manifest says of healing. Its
// fields are the JSON output.
type verification struct {
	*verify.Report
	Healing *healing `json:"healing,omitempty"`
}

// print prints the verification for people.
func (r verification) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\tsource\tconverted\n")
	fmt.Fprintf(t, "perplexity\t%.4f\t%.4f\n", r.Source.Perplexity, r.Converted.Perplexity)
	fmt.Fprintf(t, "cache, floats per token and layer\t%d\t%d\n", r.Cache.SourceFloats, r.Cache.ConvertedFloats)
	fmt.Fprintf(t, "cache, bytes per token\t%d\t%d (%s)\n", r.Cache.SourceBytes, r.Cache.ConvertedBytes, report.Change(r.Cache.Saving))
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
	if r.Healing != nil {
		fmt.Fprintf(t, "\nhealing, when it was converted\n")
	}
	return errors.Join(t.Flush(), r.Healing.print(w))
}
