package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/mha2mla/mha2mla/internal/option"
)

// ui is where a command's output goes, and what people see of a job while it runs.
type ui struct {
	out   io.Writer
	err   io.Writer
	log   logger // to err
	quiet bool
	json  bool
}

// uiFlags adds the flags about output that every command has, and returns the
// user interface they describe once the command line is parsed.
func uiFlags(cmd *cobra.Command) func() *ui {
	quiet := cmd.Flags().BoolP("quiet", "q", false, "no progress and no summary; warnings and errors only")
	asJSON := cmd.Flags().Bool("json", false, "print the result as JSON")
	var format string
	choice(cmd.Flags(), &format, "log-format", "F", logText, "form of what goes to standard error: text, or json, an object a line", logText, logJSON)
	return func() *ui {
		w := cmd.ErrOrStderr()
		return &ui{out: cmd.OutOrStdout(), err: w, log: newLogger(w, format), quiet: *quiet, json: *asJSON}
	}
}

// result prints v as JSON, or what table writes for people, unless quiet asks
// for neither.
func (u *ui) result(v any, table func(io.Writer) error) error {
	switch {
	case u.json:
		enc := json.NewEncoder(u.out)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	case u.quiet:
		return nil
	default:
		return table(u.out)
	}
}

// Warn prints a warning.
func (u *ui) Warn(t option.Text) { u.log.print(kindWarning, t.In(flagWords)) }

// note prints what was asked for.
func (u *ui) note(format string, args ...any) { u.log.print(kindNote, fmt.Sprintf(format, args...)) }

// remark prints what is worth knowing, if anything, unless quiet.
func (u *ui) remark(message string) {
	if message != "" && !u.quiet {
		u.note("%s", message)
	}
}

// Hint prints what might be done better, unless quiet.
func (u *ui) Hint(t option.Text) {
	if !u.quiet {
		u.log.print(kindHint, t.In(flagWords))
	}
}

// Progress returns a function that shows how far some work is, and one that
// takes it off the screen: a bar on a terminal that can draw one, else a line
// every few seconds.
func (u *ui) Progress(what string) (report func(done, total int64), finish func()) {
	return u.progressOf(func() string { return what })
}

// changing is Progress where what is done changes: report is told it every time. It may be called
// from several goroutines.
func (u *ui) changing(what string) (report func(what string, done, total int64), finish func()) {
	var mu sync.Mutex
	show, finish := u.progressOf(func() string {
		mu.Lock()
		defer mu.Unlock()
		return what
	})
	if show == nil {
		return nil, finish
	}
	return func(now string, done, total int64) {
		mu.Lock()
		what = now
		mu.Unlock()
		show(done, total)
	}, finish
}

// progressOf is Progress of what a function says at the time.
func (u *ui) progressOf(what func() string) (report func(done, total int64), finish func()) {
	if u.quiet {
		return nil, func() {}
	}
	if f, ok := u.err.(*os.File); ok && u.log.objects == nil && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		return u.bar(int(f.Fd()), what)
	}
	return u.lines(what), func() {}
}

// barNumbers is what a bar takes beside its description at least: percentage, brackets
// and two times.
const barNumbers = 26

// fit cuts a description so that a bar fits a terminal of so many columns beside it: a
// line that is wider would stay behind at every update.
func fit(what string, columns int) string {
	text := []rune(what)
	if most := max(1, columns-barNumbers); columns > 0 && len(text) > most {
		return string(text[:most-1]) + "…"
	}
	return what
}

// bar draws a bar. The library's own default is standard output, without
// throttle.
func (u *ui) bar(terminal int, what func() string) (func(done, total int64), func()) {
	describe := func() string {
		columns, _, _ := term.GetSize(terminal) // 0: not known
		return fit(what(), columns)
	}
	bar := progressbar.NewOptions64(1,
		progressbar.OptionSetWriter(u.err),
		progressbar.OptionSetDescription(describe()),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionEnableColorCodes(false),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetWidth(32))
	report := func(done, total int64) {
		bar.ChangeMax64(total)
		bar.Describe(describe())
		bar.Set64(done) //nolint:errcheck // a bar that cannot be drawn is no failure
	}
	return report, func() { bar.Finish() } //nolint:errcheck
}

// lineEvery is how often progress is printed where no bar can be drawn.
const lineEvery = 5 * time.Second

func (u *ui) lines(what func() string) func(done, total int64) {
	var mu sync.Mutex
	last := time.Now()
	return func(done, total int64) {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(last) >= lineEvery {
			last = time.Now()
			u.log.progress(what(), done, total)
		}
	}
}

// exactly makes a command take the named arguments, no more and no fewer.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		return &usageError{
			what: fmt.Sprintf("%s takes %s, and was given %d arguments", cmd.Name(), strings.Join(names, " and "), len(args)),
			tip:  fmt.Sprintf("see %s --help", cmd.CommandPath()),
		}
	}
}
