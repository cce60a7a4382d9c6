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
	"github.com/mha2mla/mha2mla/internal/sample"
)

// calibrateFlags are the flags of calibrate.
type calibrateFlags struct {
	gatherFlags
	config string
	add    []string
	force  bool
	jobs   int
	memory int64
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
convert loses a fraction of what it loses without. Without --text, --tokens and --add
it runs on text that the checkpoint makes itself, as convert does. Statistics of
different tokens can be added up, so calibration may run on several machines.

  mha2mla calibrate model/ model.stats
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
	madeFlag(cmd, &o.made)
	f.StringArrayVar(&o.add, "add", nil, "statistics to add to, more than once if need be (`FILE`)")
	config := configFlag(cmd, "config")
	f.BoolVar(&o.force, "force", false, "replace STATS if it exists")
	jobsFlag(cmd, &o.jobs)
	flag(f, &o.memory, "memory", "SIZE", "", "memory that the weights must fit into for text to be written, not redrawn (default: half of what the machine has)", size)
	output := uiFlags(cmd)
	cmd.RunE = failing(func(cmd *cobra.Command, args []string) error {
		o.config = *config
		return runCalibrate(cmd.Context(), output(), &o, args[0], args[1])
	})
	return cmd
}

func runCalibrate(ctx context.Context, u *ui, o *calibrateFlags, in, out string) error {
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
	text, made, err := o.textOf(ctx, u, m, out)
	if err != nil {
		return err
	}
	if err := enoughMemory(baseMemory + calib.Memory(m, text)); err != nil {
		return err
	}
	progress, finish := u.progress("calibrating")
	info, err := calib.Gather(ctx, m, text, add, out, o.force, progress)
	finish()
	if err != nil {
		return err
	}
	done := gathered{info, made}
	return u.result(done, func(w io.Writer) error { return done.print(w, in, out, m) })
}

// textOf returns the text to run on, and if the model has made it how.
func (o *calibrateFlags) textOf(ctx context.Context, u *ui, m *family.Model, out string) (text calib.Text, made *sample.Plan, err error) {
	switch {
	case o.tokens != "" || o.textFlags.text != "":
		windows, err := o.windows(ctx, m)
		if err == nil {
			u.warnOfFew(int64(windows.Tokens()), m)
		}
		return calib.Hold(windows), nil, err
	case len(o.add) > 0:
		return text, nil, nil
	}
	g := gatherer{&o.gatherFlags, u, m, o.memory, func(name string) string { return filepath.Join(filepath.Dir(out), "."+filepath.Base(out)+"."+name) }}
	made, text, err = g.makeText(ctx, o.made)
	return text, made, err
}

// gathered is what was gathered, and how its text was made; nil: it was given. Its fields
// are the JSON output.
type gathered struct {
	calib.Info
	Made *sample.Plan `json:"self_made,omitempty"`
}

// print prints it for people.
func (g gathered) print(w io.Writer, in, out string, m *family.Model) error {
	of := ""
	if g.Made != nil {
		of = " that it has made"
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s\t%d layers, hidden size %d\n", printable(in), m.Layers, m.Hidden)
	fmt.Fprintf(t, "%s\tstatistics of %d tokens%s in windows of up to %d\n", printable(out), g.Tokens, of, g.Window)
	return t.Flush()
}
