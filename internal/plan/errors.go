package plan

import (
	"github.com/mha2mla/mha2mla/internal/fault"
	"github.com/mha2mla/mha2mla/internal/option"
)

// refusal says why a conversion is refused and what to do about it.
type refusal struct{ what, tip option.Text }

func (r *refusal) Error() string { return r.what.String() }

// Text is the error, for whoever has words of his own for options.
func (r *refusal) Text() option.Text { return r.what }

// Remedy says what to do about the error; it may be empty.
func (r *refusal) Remedy() option.Text { return r.tip }

// UsageError says that what is asked for cannot be meant.
type UsageError struct{ refusal }

// Misuse makes a UsageError; arguments are those of option.Textf.
func Misuse(format string, args ...any) *UsageError {
	return &UsageError{refusal{what: option.Textf(format, args...)}}
}

// Try adds what to do about the error.
func (e *UsageError) Try(format string, args ...any) *UsageError {
	e.tip = option.Textf(format, args...)
	return e
}

// Kind says that what was asked for cannot be meant.
func (e *UsageError) Kind() fault.Kind { return fault.Usage }

// UnsupportedError says that a sound model cannot be converted as it is asked.
type UnsupportedError struct{ refusal }

// unsupported makes an UnsupportedError; arguments are those of option.Textf.
func unsupported(format string, args ...any) *UnsupportedError {
	return &UnsupportedError{refusal{what: option.Textf(format, args...)}}
}

// Try adds what to do about the error.
func (e *UnsupportedError) Try(format string, args ...any) *UnsupportedError {
	e.tip = option.Textf(format, args...)
	return e
}

// Kind says that the model cannot be converted.
func (e *UnsupportedError) Kind() fault.Kind { return fault.Unsupported }
