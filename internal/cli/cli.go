package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/mha2mla/mha2mla/internal/fault"
)

// Exit codes, a contract with the scripts that call the program.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 3 // 2 is Go's own, for a crash
	exitMalformed   = 4
	exitUnsupported = 5
	exitNoSpace     = 6
	exitThreshold   = 7
	exitMisread     = 8
	exitAgain       = 75  // EX_TEMPFAIL of sysexits.h
	exitSignal      = 128 // plus the number of the signal
)

const exitHelp = `
EXIT STATUS
  0    done
  1    failed: input or output
  3    wrong usage
  4    malformed or unsafe input
  5    a model that cannot be converted, or that an engine does not load
  6    no space left
  7    verification past its threshold
  8    a model that an engine loads, but computes wrongly
  75   nothing is wrong, try again: parts are missing, or memory here
  130  interrupted (129: hung up, 141: output closed, 143: terminated)
`

// Main runs the command line of the process and returns its exit status.
func Main() int {
	ctx, stop := signalContext()
	defer stop()
	done := make(chan int, 1)
	go func() { done <- Run(ctx, os.Args[1:], os.Stdout, os.Stderr) }()
	select {
	case status := <-done:
		return status
	case <-ctx.Done():
	}
	select {
	case status := <-done:
		return status
	case <-time.After(patience):
		return exitStatus(context.Cause(ctx))
	}
}

// patience is how long work may take to end once a signal says so. A read whose source
// stays silent would never; what it leaves behind is what a killed run leaves.
const patience = 20 * time.Second

// interrupted is the error of a context that a signal ended.
type interrupted struct{ signal syscall.Signal }

func (e interrupted) Error() string { return e.signal.String() }

// signalContext returns a context that ends with the first SIGINT, SIGTERM or
// SIGHUP, but for those that were ignored when the process began: whoever started it
// with nohup, or in the background of a script, wants it to go on. The second one kills
// the process, as it would without this.
func signalContext() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			signal.Notify(signals, s)
		}
	}
	// a reader that goes away must not kill a conversion half-way: writing fails instead
	signal.Ignore(syscall.SIGPIPE)
	ignoreSizeLimit()
	go func() {
		if s, ok := (<-signals).(syscall.Signal); ok {
			signal.Stop(signals)
			cancel(interrupted{s})
		}
	}()
	return ctx, func() { cancel(nil) }
}

// Run runs one command line and returns its exit status.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, syscall.EPIPE): // nobody reads on: nothing to say to anybody
		return exitSignal + int(syscall.SIGPIPE)
	}
	status := exitStatus(err)
	newLogger(stderr, askedFormat(args)).fail(err, status)
	return status
}

// Command describes the command line, for manuals. The exit status ends what is said of each
// command.
func Command() *cobra.Command {
	root := newRoot()
	withExitStatus(root)
	return root
}

// withExitStatus adds the exit status to what is said of a command and of those below it.
func withExitStatus(cmd *cobra.Command) {
	cmd.Long += "\n" + exitHelp
	for _, sub := range cmd.Commands() {
		withExitStatus(sub)
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "mha2mla",
		Short: "Convert MHA and GQA checkpoints to multi-head latent attention",
		Long: `mha2mla converts a trained MHA, GQA or MQA checkpoint into one with multi-head
latent attention, which stock engines load as a dense DeepSeek-V3. The KV
cache shrinks; no data, no GPU and no training are needed, though a text to
calibrate on makes it better.`,
		Example: `  mha2mla inspect model/                         what would be kept and lost
  mha2mla convert --dkv 64 model/ converted/
  mha2mla convert --dkv 64 --calibrate corpus.txt model/ converted/
  mha2mla verify model/ converted/ --tokens ids.json
  mha2mla check converted/                       which engines load it`,
		Version:                    version(),
		SilenceErrors:              true,
		SilenceUsage:               true,
		Args:                       unknownCommand,
		SuggestionsMinimumDistance: 2,
		RunE:                       func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(newConvert(), newInspect(), newCalibrate(), newVerify(), newPlan(), newPart(), newFinalize(), newCheck(), newFamilies())
	root.SetGlobalNormalizationFunc(normalise)
	root.SetFlagErrorFunc(unknownFlag)
	addCompletion(root)
	completeFlags(root)
	root.Flags().Bool("version", false, "the version, and by what and for what it was built") // without cobra's -v, which is --verbose elsewhere
	root.SetVersionTemplate(versionTemplate())
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { printHelp(cmd.OutOrStdout(), cmd) })
	return root
}

// failure is an error of a command that was used rightly. Whatever else comes
// back from the command line parser is wrong usage.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// failing wraps the work of a command so that its errors are told from usage
// errors.
func failing(work func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := work(cmd, args); err != nil {
			return failure{err}
		}
		return nil
	}
}

// exitStatuses maps the kinds of errors to the contract.
var exitStatuses = map[fault.Kind]int{
	fault.Failed:      exitFailed,
	fault.NoSpace:     exitNoSpace,
	fault.Unsupported: exitUnsupported,
	fault.Malformed:   exitMalformed,
	fault.Usage:       exitUsage,
	fault.Threshold:   exitThreshold,
	fault.Misread:     exitMisread,
	fault.Again:       exitAgain,
}

// exitStatus is the exit status of an error.
func exitStatus(err error) int {
	var signal interrupted
	if errors.As(err, &signal) {
		return exitSignal + int(signal.signal)
	}
	kind := fault.Of(err)
	if !errors.As(err, new(failure)) {
		kind = max(kind, fault.Usage)
	}
	if kind == fault.Failed && noSpace(err) {
		kind = fault.NoSpace
	}
	return exitStatuses[kind]
}

// noSpace reports whether err means that a disk or a quota is full.
func noSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// quoted is the text of err with the path in it, if the system complained of
// one, in quotes.
func quoted(err error) string {
	text := err.Error()
	var path *fs.PathError
	if errors.As(err, &path) {
		text = strings.Replace(text, path.Error(), fmt.Sprintf("%s %q: %v", path.Op, path.Path, path.Err), 1)
	}
	var link *os.LinkError
	if errors.As(err, &link) {
		text = strings.Replace(text, link.Error(), fmt.Sprintf("%s %q %q: %v", link.Op, link.Old, link.New, link.Err), 1)
	}
	return text
}
