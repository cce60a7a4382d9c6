package cli

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/family"
)

// calibrateFlags are the flags of calibrate.
type calibrateFlags struct {
	textFlags
	config string
	add    []string
	force  bool
	jobs   int
}

// calibrationTokens is how many tokens are enough: more measure the same.
const calibrationTokens = "131072"

func newCalibrate() *cobra.Command {
	var o calibrateFlags
	cmd := &cobra.Command{
		Use:   "calibrate [flags] IN STATS",
		Short: "Gather statistics of a checkpoint's activations",
		Long: `calibrate runs the checkpoint IN on tokens, one layer after the other, and writes
what a conversion wants to know of its activations to the file STATS. With it,
convert loses a fraction of what it loses without. Statistics of different
tokens can be added up, so calibration may run on several machines.

  mha2mla calibrate --text corpus.txt model/ model.stats
  mha2mla calibrate --tokens ids.npy --max-tokens 65536 model/ model.stats
  mha2mla calibrate --add first.stats --add second.stats model/ both.stats
  mha2mla convert --cache 576 --stats model.stats model/ converted/
` + exitHelp,
	}
	takes(cmd, "IN", "STATS")
	f := cmd.Flags()
	o.sourceFlags(cmd, "to run on")
	o.amountFlags(cmd, calibrationTokens)
	f.StringArrayVar(&o.add, "add", nil, "statistics to add to, more than once if need be (`FILE`)")
	config := configFlag(cmd, "config")
	f.BoolVar(&o.force, "force", false, "replace STATS if it exists")
	jobsFlag(cmd, &o.jobs)
	output := uiFlags(cmd)
	cmd.RunE = failing(func(cmd *cobra.Command, args []string) error {
		o.config = *config
		return runCalibrate(cmd.Context(), output(), o, args[0], args[1])
	})
	return cmd
}

func runCalibrate(ctx context.Context, u *ui, o calibrateFlags, in, out string) error {
	runtime.GOMAXPROCS(o.jobs)
	m, err := openSource(in, o.config)
	if err != nil {
		return err
	}
	defer m.Source.Close()
	if err := checkpoint.CheckOutput(m.Source, filepath.Dir(out), []string{filepath.Base(out)}, false, o.force); err != nil {
		return err
	}
	add, err := openStats(m, o.add)
	if err != nil {
		return err
	}
	defer closeStats(add)
	var windows [][]int
	if o.tokens != "" || o.text != "" || len(add) == 0 {
		if windows, err = o.windows(ctx, m); err != nil {
			return err
		}
		u.warnOfFew(m, windows)
	}
	if err := enoughMemory(baseMemory + calib.Memory(m, windows)); err != nil {
		return err
	}
	progress, finish := u.progress("calibrating")
	info, err := calib.Gather(ctx, m, windows, add, out, o.force, progress)
	finish()
	if err != nil {
		return err
	}
	return u.result(info, func(w io.Writer) error { return printInfo(w, in, out, m, info) })
}

// printInfo prints what was gathered.
func printInfo(w io.Writer, in, out string, m *family.Model, info calib.Info) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s\t%d layers, hidden size %d\n", printable(in), m.Layers, m.Hidden)
	fmt.Fprintf(t, "%s\tstatistics of %d tokens in windows of up to %d\n", printable(out), info.Tokens, info.Window)
	return t.Flush()
}
