package cli

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/mha2mla/mha2mla/internal/job"
	"github.com/mha2mla/mha2mla/internal/sample"
)

// noText is the value of --calibrate that asks for a conversion without data.
const noText = "none"

// dataFlags adds the flags about what a conversion goes by beside the weights. Calibrate
// becomes the value of --calibrate.
func dataFlags(cmd *cobra.Command, d *job.Data, calibrate *string) {
	statsFlag(cmd, &d.Stats)
	f := cmd.Flags()
	f.StringVar(calibrate, "calibrate", "", "text or token ids in `FILE` to calibrate on first, or none to convert without data (default: text that the model makes itself)")
	wish(f, &d.Mix, "calibrate-mix", "FRACTION", strconv.FormatFloat(job.UsualMix, 'g', -1, 64), "share of text that the model makes itself in statistics of other text; 0: none, as with --stats unless it is given", pointerTo(fraction))
	madeFlag(cmd, &d.Made)
	amountFlags(cmd, &d.Reading, calibrationTokens)
}

// setCalibrate says what a value of --calibrate means.
func setCalibrate(d *job.Data, value string) {
	d.None = value == noText
	if !d.None {
		d.From(value)
	}
}

// statsFlag adds the flag that names statistics.
func statsFlag(cmd *cobra.Command, stats *[]string) {
	cmd.Flags().StringArrayVar(stats, "stats", nil, "statistics in `FILE`, from calibrate; more than once to add them up")
}

// madeFlag adds the flag about how much text a model makes.
func madeFlag(cmd *cobra.Command, tokens *int) {
	flag(cmd.Flags(), tokens, "made-tokens", "N", strconv.Itoa(sample.Tokens), "tokens that the model makes itself for statistics, where it does", severalTokens)
}

// sourceFlags adds the flags that name the tokens.
func sourceFlags(cmd *cobra.Command, r *job.Reading, purpose string) {
	f := cmd.Flags()
	f.StringVar(&r.IDs, "tokens", "", "token ids in `FILE` "+purpose+": .json, .npy, .u16, .u32, .ds, .bin")
	f.StringVar(&r.Text, "text", "", "text in `FILE` "+purpose+", cut into tokens by the checkpoint's own tokenizer")
	cmd.MarkFlagsMutuallyExclusive("tokens", "text")
}

// amountFlags adds the flags about how many tokens there are.
func amountFlags(cmd *cobra.Command, r *job.Reading, most string) {
	f := cmd.Flags()
	flag(f, &r.Window, "window", "N", "", "tokens that are run together (default: max_position_embeddings, at most 2048)", severalTokens)
	flag(f, &r.Skip, "skip-tokens", "N", "", "leave out so many tokens at the beginning", natural)
	flag(f, &r.MaxTokens, "max-tokens", "N", most, "stop after so many tokens", severalTokens)
}

// fraction parses a number from 0 to below 1.
func fraction(text string) (float64, error) {
	v, err := nonNegativeNumber(text)
	if err != nil || v >= 1 {
		return 0, fmt.Errorf("%q is not a number of at least 0 and below 1", text)
	}
	return v, nil
}
