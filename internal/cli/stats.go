package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// statsFlags are the flags of commands that use statistics.
type statsFlags struct {
	stats     []string
	calibrate string // file to gather them from at once
	textFlags        // how

	calibrated [][]int // the windows of that file
}

// sharedFlags adds the flag that names statistics.
func (o *statsFlags) sharedFlags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&o.stats, "stats", nil, "statistics from calibrate, more than once to add them up (`FILE`)")
}

// gatherFlags adds the flags about gathering them at once.
func (o *statsFlags) gatherFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.calibrate, "calibrate", "", "text or token ids to calibrate on first (`FILE`)")
	o.amountFlags(cmd, calibrationTokens)
}

// open opens the statistics of m that the flags name, and says in which files they
// are. Those gathered at once go into the file temp. The function returned closes
// them.
func (o *statsFlags) open(ctx context.Context, u *ui, m *family.Model, temp string) (stats calib.Reader, paths []string, done func(), err error) {
	paths = o.stats
	if o.calibrate != "" {
		if o.text = o.calibrate; tokens.HoldsIDs(o.calibrate) {
			o.tokens = o.calibrate
		}
		windows, err := o.windows(ctx, m)
		if err != nil {
			return nil, nil, nil, err
		}
		u.warnOfFew(m, windows)
		if err := enoughMemory(baseMemory + calib.Memory(m, windows)); err != nil {
			return nil, nil, nil, err
		}
		o.calibrated = windows
		progress, finish := u.progress("calibrating")
		_, err = calib.Gather(ctx, m, windows, nil, temp, false, progress)
		finish()
		if err != nil {
			return nil, nil, nil, err
		}
		paths = append(paths, temp)
	}
	merged, err := openStats(m, paths)
	if err != nil || len(merged) == 0 {
		return nil, nil, func() {}, err
	}
	return merged, paths, func() { closeStats(merged) }, nil
}

// openStats opens statistics of m; none is no statistics.
func openStats(m *family.Model, paths []string) (calib.Merged, error) {
	var files []*calib.File
	for _, path := range paths {
		f, err := calib.Open(path)
		if err != nil {
			closeStats(files)
			return nil, err
		}
		files = append(files, f)
	}
	merged, err := calib.Merge(m, files)
	if err == nil {
		err = enoughMemory(baseMemory + merged.Memory())
	}
	if err != nil {
		closeStats(files)
	}
	return merged, err
}

// closeStats closes statistics that were read.
func closeStats(files []*calib.File) {
	for _, f := range files {
		f.Close() //nolint:errcheck // nothing was written to it
	}
}

// measure settles the measure of loss, which is calibrated if there are
// statistics, unless the user has chosen one.
func measure(cmd *cobra.Command, o *plan.Options, stats calib.Reader) error {
	chosen := cmd.Flags().Changed("weights")
	switch {
	case stats == nil && o.Weights == mla.WeightsCalibrated:
		return &plan.UsageError{What: "--weights calibrated needs statistics", Tip: "name them with --stats, or gather them with mha2mla calibrate"}
	case stats != nil && chosen && o.Weights == mla.WeightsAttention:
		return &plan.UsageError{What: "--weights attention is for conversions without statistics", Tip: "with --stats it is called calibrated"}
	case stats != nil && !chosen && o.Weights == mla.WeightsAttention:
		o.Weights = mla.WeightsCalibrated
	}
	return nil
}
