package plan

import (
	"github.com/mha2mla/mha2mla/internal/fault"
	"github.com/mha2mla/mha2mla/internal/option"
)

// refusal says why the program refuses a conversion, and what the user can do about it.
type refusal struct{ what, tip option.Text }

func (r *refusal) Error() string { return r.what.String() }

// Text returns the error with its options as values, for callers that have other words for
// them.
func (r *refusal) Text() option.Text { return r.what }

// Remedy says what to do about the error; it may be empty.
func (r *refusal) Remedy() option.Text { return r.tip }

// UsageError says that a request makes no sense, because it contradicts itself or the model.
type UsageError struct{ refusal }

// Misuse makes a UsageError. It takes the arguments of option.Textf.
func Misuse(format string, args ...any) *UsageError {
	return &UsageError{refusal{what: option.Textf(format, args...)}}
}

// Try adds what the user can do about the error. It takes the arguments of option.Textf.
func (e *UsageError) Try(format string, args ...any) *UsageError {
	e.tip = option.Textf(format, args...)
	return e
}

// Kind says that the request makes no sense here, so that the user has to change it.
func (e *UsageError) Kind() fault.Kind { return fault.Usage }

// UnsupportedError says that a sound model cannot be converted as the user asks.
type UnsupportedError struct{ refusal }

// unsupported makes an UnsupportedError. It takes the arguments of option.Textf.
func unsupported(format string, args ...any) *UnsupportedError {
	return &UnsupportedError{refusal{what: option.Textf(format, args...)}}
}

// Try adds what the user can do about the error. It takes the arguments of option.Textf.
func (e *UnsupportedError) Try(format string, args ...any) *UnsupportedError {
	e.tip = option.Textf(format, args...)
	return e
}

// Kind says that the model cannot be converted.
func (e *UnsupportedError) Kind() fault.Kind { return fault.Unsupported }
