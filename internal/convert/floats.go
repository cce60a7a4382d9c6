package convert

import (
	"fmt"
	"math"
	"slices"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/fault"
	"github.com/mha2mla/mha2mla/internal/floatconv"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/option"
)

// floats takes the values of a tensor that is not copied. Those that do not fit its
// type are refused or, if the plan says so, clamped.
type floats struct {
	*tensor
	clamped int64 // values so far
}

// floats opens a tensor of the output.
func (r *run) floats(name string) *floats { return &floats{tensor: r.tensor(name)} }

// WriteFloats appends values.
func (f *floats) WriteFloats(values []float64) error {
	if f.run.Clamp {
		values = f.clamp(values)
	}
	return f.tensor.WriteFloats(values)
}

// Close completes the tensor.
func (f *floats) Close() error {
	if f.clamped > 0 {
		s := f.Spec()
		f.run.warn(fmt.Sprintf("tensor %q: %d of its values do not fit %s and became ±%v", s.Name, f.clamped, s.DType, s.DType.Largest()))
	}
	return f.tensor.Close()
}

// clamp returns values with the largest of the type for those that would become
// infinite. It leaves its argument alone.
func (f *floats) clamp(values []float64) []float64 {
	dtype := f.DType()
	over := func(v float64) bool { return checkpoint.Overflows(v, dtype) }
	first := slices.IndexFunc(values, over)
	if first < 0 {
		return values
	}
	values = slices.Clone(values)
	for i, v := range values[first:] {
		if over(v) {
			values[first+i] = math.Copysign(dtype.Largest(), v)
			f.clamped++
		}
	}
	return values
}

// ComputedError says that a tensor of the output cannot be computed in double
// precision, though the weights it is made of are finite.
type ComputedError struct {
	Tensor string
	Index  []int64 // position in the tensor's shape
	Value  float64 // NaN or an infinity
}

func (e *ComputedError) Error() string {
	return fmt.Sprintf("tensor %q: %v at %v is what the conversion computes from finite weights", e.Tensor, e.Value, e.Index)
}

// Kind says that the model cannot be converted or loaded.
func (e *ComputedError) Kind() fault.Kind { return fault.Unsupported }

// Remedy says what to do about the error.
func (e *ComputedError) Remedy() option.Text {
	return option.Textf("the weights of that layer are too large or too small to compute with; %v asks the least of them", option.Weights.Is(mla.WeightsNone))
}

// computed takes the values of a tensor that a layer's conversion computes: they
// must be finite. It reports progress when the tensor is complete.
type computed struct {
	*floats
	precision checkpoint.DType
	at        int64 // values so far
}

// DType is the type that has values as fine as those that are written.
func (c *computed) DType() checkpoint.DType { return c.precision }

// WriteFloats appends values.
func (c *computed) WriteFloats(values []float64) error {
	if i := floatconv.FirstNonFinite(values); i >= 0 {
		s := c.Spec()
		return &ComputedError{s.Name, s.Position(c.at + int64(i)), values[i]}
	}
	c.at += int64(len(values))
	return c.floats.WriteFloats(values)
}

// Close completes the tensor.
func (c *computed) Close() error {
	c.run.advance(c.Bytes())
	return c.floats.Close()
}
