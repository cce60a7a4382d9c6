package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/mha2mla/mha2mla/internal/fault"
	"github.com/mha2mla/mha2mla/internal/option"
)

// FormatError says that a file is malformed, and what is wrong with it.
type FormatError struct {
	Path string // the file
	What string // what is wrong, and where
	Tip  string // what to do about it; may be empty
}

func (e *FormatError) Error() string { return fmt.Sprintf("%q: %s", e.Path, e.What) }

// Kind says that the input is malformed or unsafe.
func (e *FormatError) Kind() fault.Kind { return fault.Malformed }

// Hint says what to do about the error.
func (e *FormatError) Hint() string { return e.Tip }

// malformed returns a FormatError for a file with err in its content. It returns err itself
// if that says that the file could not be read.
func malformed(path string, err error) error {
	if errors.As(err, new(*fs.PathError)) {
		return err
	}
	return &FormatError{Path: path, What: err.Error()}
}

// NoModelError says that there is nothing to convert at Path.
type NoModelError struct {
	Path string
	What string
	Tip  option.Text // what to do about it; may be empty
}

func (e *NoModelError) Error() string { return fmt.Sprintf("%q: %s", e.Path, e.What) }

// Kind says that the model cannot be converted or loaded.
func (e *NoModelError) Kind() fault.Kind { return fault.Unsupported }

// Remedy says what to do about the error.
func (e *NoModelError) Remedy() option.Text { return e.Tip }

// ValueError says that a tensor holds a value that cannot be used.
type ValueError struct {
	Tensor string
	Index  []int64 // position of the value, one number for each dimension
	Value  float64
	What   string      // why it cannot be used
	Tip    option.Text // what to do about it; may be empty
}

func (e *ValueError) Error() string {
	return fmt.Sprintf("tensor %q: %v at %v %s", e.Tensor, e.Value, e.Index, e.What)
}

// Kind says that the input is malformed or unsafe.
func (e *ValueError) Kind() fault.Kind { return fault.Malformed }

// Remedy says what to do about the error.
func (e *ValueError) Remedy() option.Text { return e.Tip }

// position converts a row-major index into a position in shape, one number for each
// dimension.
func position(flat int64, shape []int64) []int64 {
	pos := make([]int64, len(shape))
	for i := len(shape) - 1; i >= 0; i-- {
		pos[i] = flat % shape[i]
		flat /= shape[i]
	}
	return pos
}
