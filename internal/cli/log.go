package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// The forms of what goes to standard error.
const (
	logText = "text" // for people
	logJSON = "json" // one object a line
)

// logger writes what goes to standard error: for people, or as a JSON object in
// each line, with the time, a level, a message, and what kind it is.
type logger struct {
	w       io.Writer
	objects *slog.Logger // nil: for people
}

func newLogger(w io.Writer, format string) logger {
	if format != logJSON {
		return logger{w, nil}
	}
	return logger{w, slog.New(slog.NewJSONHandler(w, nil))}
}

// The kinds of messages, and of objects.
const (
	kindNote     = "note"
	kindWarning  = "warning"
	kindHint     = "hint"
	kindProgress = "progress"
	kindError    = "error"
)

// print writes a message that goes with nothing else.
func (l logger) print(kind, message string) {
	if l.objects != nil {
		level := slog.LevelInfo
		if kind == kindWarning {
			level = slog.LevelWarn
		}
		l.objects.Log(context.Background(), level, message, "kind", kind)
		return
	}
	prefix := map[string]string{kindNote: "mha2mla: ", kindWarning: "mha2mla: warning: ", kindHint: "hint: "}[kind]
	fmt.Fprintf(l.w, "%s%s\n", prefix, printable(message))
}

// progress says how far some work is.
func (l logger) progress(what string, done, total int64) {
	if l.objects != nil {
		l.objects.Info(what, "kind", kindProgress, "done", done, "total", total)
		return
	}
	l.print(kindNote, fmt.Sprintf("%s: %d %%", what, 100*done/max(1, total)))
}

// fail writes an error as one line and its hint as another, or both and the exit
// status as one object.
func (l logger) fail(err error, status int) {
	text, hint := strings.ReplaceAll(worded(quoted(err), err), "\n", "; "), hintOf(err)
	if hint == "" && noSpace(err) {
		hint = "free space, or name an output elsewhere"
	}
	if l.objects != nil {
		attributes := []any{"kind", kindError, "exit", status}
		if hint != "" {
			attributes = append(attributes, "hint", hint)
		}
		l.objects.Error(text, attributes...)
		return
	}
	l.print(kindNote, text)
	if hint != "" {
		l.print(kindHint, hint)
	}
}

// askedFormat is the form that a command line asks for, be the rest of it right
// or wrong: an error about it has that form, too.
func askedFormat(args []string) string {
	format := logText
	for i, arg := range args {
		switch value, ok := strings.CutPrefix(arg, "--log-format="); {
		case arg == "--":
			return format
		case ok:
			format = value
		case arg == "--log-format" && i+1 < len(args):
			format = args[i+1]
		}
	}
	return format
}
