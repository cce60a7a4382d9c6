package job

import (
	"context"
	"errors"
	"fmt"

	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/fault"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/tokens"
	"github.com/mha2mla/mha2mla/internal/verify"
)

// measure returns what measures an output on windows that were held out; nil if there
// are none.
func (r *run) measure(held tokens.Windows) func(ctx context.Context, path string) (*convert.HeldOut, error) {
	if len(held) == 0 {
		return nil
	}
	return func(ctx context.Context, path string) (h *convert.HeldOut, err error) {
		converted, err := Open(path, "")
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, converted.Source.Close()) }()
		progress, finish := r.Progress("measuring")
		report, err := verify.Compare(ctx, r.model, converted, held, progress)
		finish()
		if err != nil {
			return nil, err
		}
		if r.MaxKL != nil && report.KL > *r.MaxKL {
			return nil, &ThresholdError{report.KL, *r.MaxKL, fmt.Sprintf(" on %d tokens held out, and nothing is written", report.Tokens)}
		}
		return &convert.HeldOut{KL: report.KL, Top1: report.Top1, Tokens: report.Tokens}, nil
	}
}

// ThresholdError says that a model diverges further from its source than it may.
type ThresholdError struct {
	KL, Most float64 // nats per token
	About    string  // on which tokens, and what follows; may be empty
}

func (e *ThresholdError) Error() string { return e.Text().String() }

// Text is the error, for whoever has words of his own for options.
func (e *ThresholdError) Text() option.Text {
	return option.Textf("KL %.6g is above %v%s", e.KL, option.MaxKL.Is(fmt.Sprintf("%.6g", e.Most)), e.About)
}

// Kind says that a measure is past its bound.
func (e *ThresholdError) Kind() fault.Kind { return fault.Threshold }

// Remedy says what to do about the error.
func (e *ThresholdError) Remedy() option.Text {
	return option.Textf("convert with a larger %v, more text with %v, or %v", option.Cache, option.Calibrate, option.Heal)
}
