package mla

import (
	"errors"
	"fmt"

	"github.com/mha2mla/mha2mla/internal/fault"
	"github.com/mha2mla/mha2mla/internal/linalg"
	"github.com/mha2mla/mha2mla/internal/option"
)

// ExtremeError says that a layer cannot be converted in double precision, although its
// weights are finite.
type ExtremeError struct {
	Layer int
	Err   error
}

func (e *ExtremeError) Error() string {
	return fmt.Sprintf("layer %d: its weights, or their statistics, cannot be computed with: %v", e.Layer, e.Err)
}

// Kind says that the model cannot be converted or loaded.
func (e *ExtremeError) Kind() fault.Kind { return fault.Unsupported }

// Remedy says what to do about the error.
func (e *ExtremeError) Remedy() option.Text {
	return option.Textf("they are too large or too small; %v asks the least of them", option.Weights.Is(WeightsNone))
}

// Explain returns err, or an ExtremeError for the layer if err is a linalg.NumericError.
func Explain(layer int, err error) error {
	var numeric *linalg.NumericError
	if errors.As(err, &numeric) {
		return &ExtremeError{layer, err}
	}
	return err
}
