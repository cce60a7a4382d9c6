package cli

import (
	"strings"

	"github.com/mha2mla/mha2mla/internal/fault"
	"github.com/mha2mla/mha2mla/internal/option"
)

// usageError says that a command was used wrongly, and in words of the command line what to
// do about it.
type usageError struct{ what, tip string }

func (e *usageError) Error() string { return e.what }

// Kind says that what was asked for cannot be meant.
func (e *usageError) Kind() fault.Kind { return fault.Usage }

// Hint says what to do about the error.
func (e *usageError) Hint() string { return e.tip }

// flagWords writes a setting as it stands on a command line: the flag of an option has its
// name.
func flagWords(s option.Setting) string {
	if s.Value == "" {
		return "--" + string(s.Option)
	}
	if s.Option == option.PadToKernel { // it may be given without a value
		return "--" + string(s.Option) + "=" + s.Value
	}
	return "--" + string(s.Option) + " " + s.Value
}

// worded is the text of err, or of a part of it, in which every error that speaks of options
// names the flags.
func worded(text string, err error) string {
	each(err, func(err error) bool {
		if e, ok := err.(interface{ Text() option.Text }); ok {
			text = strings.Replace(text, err.Error(), e.Text().In(flagWords), 1)
		}
		return true
	})
	return text
}

// hintOf is what the first error in err that knows what to do says; empty if none does.
func hintOf(err error) (hint string) {
	each(err, func(err error) bool {
		switch e := err.(type) {
		case interface{ Remedy() option.Text }:
			hint = e.Remedy().In(flagWords)
		case interface{ Hint() string }:
			hint = e.Hint()
		default:
			return true
		}
		return false
	})
	return hint
}

// each visits err and all that it wraps, outer errors first, as long as visit says to go on.
func each(err error, visit func(error) bool) bool {
	if err == nil {
		return true
	}
	if !visit(err) {
		return false
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return each(e.Unwrap(), visit)
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			if !each(inner, visit) {
				return false
			}
		}
	}
	return true
}
