package cli

import (
	_ "embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/job"
)

func newPlan() *cobra.Command {
	var o job.Conversion
	var calibrate string
	var slurm, kubernetes int
	cmd := &cobra.Command{
		Use:   "plan [flags] IN OUT",
		Short: "Plan a conversion for several machines to share",
		Long: `plan decides, as convert with the same flags does, what can be decided of a
conversion of IN into OUT from headers alone, and writes it to the folder
OUT.parts. Parts do the rest, on as many machines at a time as there are: part
text makes the text that statistics are of, part calibrate gathers them, part
search finds what is left open, part fit heals layers, part convert makes the
files of OUT, and finalize joins them. OUT has the bytes that one convert would
have given it. All machines see IN, OUT and texts under the same paths, and have
the same program and processors of one kind. IN stays as it is until the end.

What is shared out are chunks of text, eight of each text at most, and files:
--max-shard-size says how many there are, and with it how much is lost where a
part is killed. Layers are healed by one part.

With --slurm N, plan prints a script of N tasks for Slurm, to be read, edited
and run with sh; with --kubernetes N, jobs of N pods for kubectl apply.`,
		Example: `  mha2mla plan --cache 576 model/ converted/
  mha2mla part text converted/
  mha2mla part calibrate 0/1 converted/
  mha2mla part search converted/
  mha2mla part fit converted/
  mha2mla part convert 0/2 converted/
  mha2mla part convert 1/2 converted/
  mha2mla finalize converted/
  mha2mla plan --slurm 16 model/ converted/ >convert.sh`,
	}
	takes(cmd, "IN", "OUT")
	conversionFlags(cmd, &o, &calibrate)
	wish(cmd.Flags(), &slurm, "slurm", "N", "", "print a script of so many tasks for Slurm", positive)
	wish(cmd.Flags(), &kubernetes, "kubernetes", "N", "", "print jobs of so many pods for Kubernetes", positive)
	cmd.MarkFlagsMutuallyExclusive("slurm", "kubernetes")
	output := uiFlags(cmd)
	cmd.RunE = failing(func(cmd *cobra.Command, args []string) error {
		if err := setConversion(&o, args, calibrate); err != nil {
			return err
		}
		u := output()
		done, stages, err := o.Plan(cmd.Context(), u, max(slurm, kubernetes))
		if err != nil {
			return err
		}
		if done.Plan != nil {
			advise(u, done.Plan)
		}
		switch {
		case slurm > 0:
			return writeScript(u.out, slurmScript, o.Out, stages, slurm)
		case kubernetes > 0:
			return writeScript(u.out, kubernetesJobs, o.Out, stages, kubernetes)
		}
		return printPlan(u, o.Out, done)
	})
	return cmd
}

// printPlan prints what is planned as far as it is known, and where.
func printPlan(u *ui, out string, done *job.Outcome) error {
	p := planned{Plan: done.Plan, Memory: done.Memory, Text: done.Text, ahead: true}
	said := struct {
		*planned
		Parts string `json:"parts"`
	}{Parts: checkpoint.PartsOf(out)}
	if p.Plan != nil {
		said.planned = &p
	}
	return u.result(said, func(w io.Writer) error {
		if p.Plan != nil {
			return p.print(w)
		}
		_, err := fmt.Fprintf(w, "planned in %s; its sizes are for part search to find\n", printable(said.Parts))
		return err
	})
}

// slurmScript is the template of a script for Slurm.
//
//go:embed slurm.sh
var slurmScript string

// kubernetesJobs is the template of jobs for Kubernetes.
//
//go:embed kubernetes.yaml
var kubernetesJobs string

// writeScript fills in a template of a script that goes through stages in so many tasks.
func writeScript(w io.Writer, text, out string, stages []job.Stage, tasks int) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	if out, err = filepath.Abs(out); err != nil {
		return err
	}
	t, err := template.New("script").Parse(text)
	if err != nil {
		return err
	}
	return t.Execute(w, struct {
		Program, Out            string // quoted for a shell
		Path, Folder            string // of the output
		Stages                  []job.Stage
		Tasks, Last, Processors int
	}{shellWord(program), shellWord(out), out, filepath.Dir(out), stages, tasks, tasks - 1, runtime.GOMAXPROCS(0)})
}

// shellWord quotes a word for a shell.
func shellWord(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }
