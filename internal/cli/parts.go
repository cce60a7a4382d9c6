package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/job"
)

func newPart() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "part",
		Short: "Make a part of a conversion that was planned",
		Long: `part makes a part of what plan has planned. The stages follow each other: text
and calibrate where statistics are gathered, then search, fit where layers are
healed, then convert. Calibrate and convert run as often as there are shares,
the others once. What begins too early exits with status 75. See mha2mla plan
--help.`,
		Example: `  mha2mla part search converted/
  mha2mla part convert 0/2 converted/`,
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newPartText(), newPartCalibrate(), newPartSearch(), newPartFit(), newPartConvert())
	return cmd
}

// partFlags adds the flags that every part of a conversion has. The function returned says what
// the part is.
func partFlags(cmd *cobra.Command) func(out string) job.Part {
	var p job.Part
	jobsFlag(cmd, &p.Jobs)
	memoryFlag(cmd, &p.Memory)
	return func(out string) job.Part {
		p.Out, p.Version, p.Build, p.Words = out, version(), build, flagWords
		return p
	}
}

func newPartText() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "text [flags] OUT",
		Short: "Make the text that statistics are of",
		Long: `part text reads the text that plan was given, has the checkpoint make what it is
to make itself, and puts all of it down in OUT.parts. It runs once, on one
machine; if it has run already, it does nothing.`,
		Example: `  mha2mla part text converted/`,
	}
	return single(cmd, job.Part.Text)
}

func newPartCalibrate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "calibrate [flags] I/N OUT",
		Short: "Gather statistics of some of the text",
		Long: `part calibrate runs the checkpoint on share I, counted from 0, of N shares of
the text, and leaves the statistics in OUT.parts. A text has eight chunks at
most, so that more shares of it have nothing to do. Chunks that are there
already are not run again.`,
		Example: `  mha2mla part calibrate 3/8 converted/`,
	}
	return shared(cmd, "chunks_gathered", "%d chunk(s) of text gathered\n", job.Part.Calibrate)
}

func newPartSearch() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "search [flags] OUT",
		Short: "Find what all parts have in common",
		Long: `part search adds up the statistics that parts have gathered, finds the sizes
that plan has left open, and puts all down in OUT.parts. Without it no part
converts anything. It runs once, on one machine; if it has run already, it does
nothing.`,
		Example: `  mha2mla part search converted/`,
	}
	return single(cmd, job.Part.Search)
}

func newPartFit() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fit [flags] OUT",
		Short: "Heal the layers",
		Long: `part fit heals the layers, if plan was asked to, and leaves them in OUT.parts.
It runs once, on one machine, because W_o of a layer is fitted to what the
layers before it make of the text. Layers that are healed already stay.`,
		Example: `  mha2mla part fit converted/`,
	}
	return single(cmd, job.Part.Fit)
}

// single completes a command of a stage that runs once.
func single(cmd *cobra.Command, work func(p job.Part, ctx context.Context, v job.View) error) *cobra.Command {
	takes(cmd, "OUT")
	part, output := partFlags(cmd), uiFlags(cmd)
	cmd.RunE = failing(func(cmd *cobra.Command, args []string) error {
		return work(part(args[0]), cmd.Context(), output())
	})
	return cmd
}

func newPartConvert() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "convert [flags] I/N OUT",
		Short: "Make some of the files of an output",
		Long: `part convert makes share I, counted from 0, of N shares of the files of OUT, and
leaves them in OUT.parts. Files that are there already are not made again, so
that a part which was killed goes on with what is left, and N may be another
the next time. Several may make the same at a time: all make the same bytes.`,
		Example: `  mha2mla part convert 3/16 converted/`,
	}
	return shared(cmd, "files_made", "%d file(s) made\n", job.Part.Convert)
}

// shared completes a command that makes share I of N. It says how many units it has made, in JSON
// and in words.
func shared(cmd *cobra.Command, key, words string, work func(p job.Part, ctx context.Context, v job.View, s convert.Share) (int, error)) *cobra.Command {
	cmd.Args = exactly("I/N", "OUT")
	part, output := partFlags(cmd), uiFlags(cmd)
	cmd.RunE = failing(func(cmd *cobra.Command, args []string) error {
		s, err := share(args[0])
		if err != nil {
			return err
		}
		u := output()
		made, err := work(part(args[1]), cmd.Context(), u, s)
		if err != nil {
			return err
		}
		return u.result(map[string]int{key: made}, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, words, made)
			return err
		})
	})
	return cmd
}

// share parses I/N.
func share(text string) (s convert.Share, err error) {
	number, of, both := strings.Cut(text, "/")
	s.Number, err = strconv.Atoi(number)
	if err == nil {
		s.Of, err = strconv.Atoi(of)
	}
	if !both || err != nil || s.Number < 0 || s.Number >= s.Of {
		return s, &usageError{what: fmt.Sprintf("%q is not I/N with 0 ≤ I < N", text), tip: "the first of sixteen shares is 0/16"}
	}
	return s, nil
}

// patienceWithFiles is how long a shared file system may take to show a file to another machine,
// unless the user knows better. NFS keeps what it knows of a folder for up to 60 s (acdirmax in
// nfs(5)).
const patienceWithFiles = "90s"

func newFinalize() *cobra.Command {
	var dryRun bool
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "finalize [flags] OUT",
		Short: "Join the parts of a conversion that was planned",
		Long: `finalize joins what parts have made when all is there. Every byte is checked,
and OUT appears whole or not at all. If files are missing it says which, and
exits with status 75. A file that is damaged counts as missing, and a part makes
it again. If OUT is joined already, it does nothing. With --dry-run it says
which stage comes next, and which tasks of it are missing.`,
		Example: `  mha2mla finalize converted/
  mha2mla finalize --dry-run converted/`,
	}
	takes(cmd, "OUT")
	f := cmd.Flags()
	f.BoolVar(&dryRun, "dry-run", false, "say what is missing, and join nothing")
	flag(f, &wait, "wait", "TIME", patienceWithFiles, "wait so long for files that a shared file system may not show yet", duration)
	part, output := partFlags(cmd), uiFlags(cmd)
	cmd.RunE = failing(func(cmd *cobra.Command, args []string) error {
		p, u := part(args[0]), output()
		if dryRun {
			missing, err := p.Missing(cmd.Context(), u)
			return unlessJoined(u, p, err, missing == nil, func() error {
				return u.result(missing, func(w io.Writer) error { return printMissing(w, missing) })
			})
		}
		done, err := p.Join(cmd.Context(), u, wait)
		return unlessJoined(u, p, err, done == nil, func() error {
			return printConverted(u, planned{Plan: done.Plan, Memory: done.Memory, Text: done.Text}, done)
		})
	})
	return cmd
}

// unlessJoined calls say, unless there is an error, or the output was joined before.
func unlessJoined(u *ui, p job.Part, err error, joined bool, say func() error) error {
	switch {
	case err != nil:
		return err
	case joined:
		u.remark(fmt.Sprintf("%q is joined already", p.Out))
		return nil
	}
	return say()
}

// duration parses a time that is not negative, such as 90s.
func duration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a time such as 90s", text)
	}
	return d, nil
}

// printMissing prints what is missing. If a script was printed, these are words for it.
func printMissing(w io.Writer, m *job.Missing) (err error) {
	switch {
	case len(m.Tasks) > 0:
		_, err = fmt.Fprintf(w, "%s --array=%s\n", m.Stage, m.Array())
	case m.Of > 0:
		_, err = fmt.Fprintf(w, "%s: %d of %d files are missing\n", m.Stage, len(m.Files), m.Of)
	default:
		_, err = fmt.Fprintln(w, m.Stage)
	}
	return err
}
