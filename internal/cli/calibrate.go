package cli

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/job"
	"github.com/mha2mla/mha2mla/internal/sample"
)

// calibrationTokens is how many tokens are enough: more measure the same.
const calibrationTokens = "131072"

func newCalibrate() *cobra.Command {
	var o job.Calibration
	cmd := &cobra.Command{
		Use:   "calibrate [flags] IN STATS",
		Short: "Gather statistics of a checkpoint's activations",
		Long: `calibrate runs the checkpoint IN on tokens, one layer after the other, and
writes what a conversion wants to know of its activations to the file STATS.
With it, convert loses a fraction of what it loses without. Without --text,
--tokens and --add it runs on text that the checkpoint makes itself, as
convert does. Statistics of different tokens can be added up, so calibration
may run on several machines.`,
		Example: `  mha2mla calibrate model/ model.stats
  mha2mla calibrate --text corpus.txt model/ model.stats
  mha2mla calibrate --tokens ids.npy --max-tokens 65536 model/ model.stats
  mha2mla calibrate --add first.stats --add second.stats model/ both.stats
  mha2mla convert --cache 576 --stats model.stats model/ converted/`,
	}
	takes(cmd, "IN", "STATS")
	f := cmd.Flags()
	sourceFlags(cmd, &o.Reading, "to run on")
	amountFlags(cmd, &o.Reading, calibrationTokens)
	madeFlag(cmd, &o.Made)
	f.StringArrayVar(&o.Add, "add", nil, "statistics in `FILE` to add to, more than once if need be")
	configFlag(cmd, &o.Config, "config")
	f.BoolVar(&o.Force, "force", false, "replace STATS if it exists")
	jobsFlag(cmd, &o.Jobs)
	flag(f, &o.Memory, "memory", "SIZE", "", "memory that the weights must fit into for text to be written, not redrawn (default: half of what the machine has)", size)
	output := uiFlags(cmd)
	cmd.RunE = failing(func(cmd *cobra.Command, args []string) error {
		o.In, o.Out = args[0], args[1]
		u := output()
		done, err := o.Run(cmd.Context(), u)
		if err != nil {
			return err
		}
		g := gathered{done.Info, done.Made}
		return u.result(g, func(w io.Writer) error { return g.print(w, o.In, o.Out, done.Model) })
	})
	return cmd
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
