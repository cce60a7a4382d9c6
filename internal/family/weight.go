package family

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
)

// Weight is a weight of the canonical decoder, as a view of what the checkpoint stores:
// it takes some rows of one tensor, in order, and reads each stored value v as
// Factor·(Shift + v). Families fuse or interleave projections, and their stock classes
// multiply by constants or add them. The rows, the factor and the shift undo this, so
// that whoever reads a Weight gets values that mean the same in every family.
type Weight struct {
	Name   string  // the canonical name, with the prefix of the layer
	Shape  []int64 // of the view, which may have fewer rows than the tensor
	Factor float64 // multiplies what is stored; 1 if nothing does
	Shift  float64 // is added before Factor multiplies

	stored *checkpoint.Tensor
	rows   []rows
}

// rows names n neighbouring rows of a tensor, the first of them by its number. The rows
// of a vector are its elements.
type rows struct{ from, n int64 }

// Whole returns a view of all of a tensor as it is stored. It serves tensors that are no
// weight of the decoder.
func Whole(t *checkpoint.Tensor) *Weight {
	w := &Weight{Name: t.Name, Shape: t.Shape, Factor: 1, stored: t, rows: []rows{{0, 1}}}
	if len(t.Shape) > 0 {
		w.rows[0].n = t.Shape[0]
	}
	return w
}

// DType is the type of the stored values.
func (w *Weight) DType() checkpoint.DType { return w.stored.DType }

// Stored is the name of the tensor that holds the values.
func (w *Weight) Stored() string { return w.stored.Name }

// Plain reports whether the values are those that are stored.
func (w *Weight) Plain() bool { return w.Factor == 1 && w.Shift == 0 }

// Elements is the number of values.
func (w *Weight) Elements() int64 { return checkpoint.Spec{Shape: w.Shape}.Elements() }

// Bytes is the size of the stored values.
func (w *Weight) Bytes() int64 {
	if w.Entire() { // only the tensor knows the size of types smaller than a byte
		return w.stored.Bytes()
	}
	return w.Elements() * w.DType().Size()
}

// Entire reports whether w views all of a tensor, in its order.
func (w *Weight) Entire() bool { return len(w.rows) == 1 && w.Elements() == w.stored.Elements() }

// Data returns the stored bytes of the rows, one after the other.
func (w *Weight) Data() io.Reader {
	if w.Entire() {
		return w.stored.Data()
	}
	width := w.width()
	var parts []io.Reader
	for _, r := range w.rows {
		parts = append(parts, w.stored.Section(r.from*width, r.n*width))
	}
	return io.MultiReader(parts...)
}

// ReadError explains an error that reading Data returned: it names the tensor and the file.
func (w *Weight) ReadError(err error) error { return w.stored.ReadError(err) }

// Locate returns where the value at a row-major index is stored: the tensor, and the
// row-major index there.
func (w *Weight) Locate(index int64) (*checkpoint.Tensor, int64) {
	at := int64(0)
	_ = w.segments(index, 1, func(from, _ int64) error { at = from; return nil })
	return w.stored, at
}

// width is the number of values of a row.
func (w *Weight) width() int64 {
	if len(w.Shape) == 0 {
		return 1
	}
	return checkpoint.Spec{Shape: w.Shape[1:]}.Elements()
}

// segments calls visit for each run of stored values that n values of w, starting with
// the given one, consist of, in order. It stops at the first error and returns it.
func (w *Weight) segments(first, n int64, visit func(from, n int64) error) error {
	width := w.width()
	for _, r := range w.rows {
		size := r.n * width
		if first >= size {
			first -= size
			continue
		}
		part := min(n, size-first)
		if err := visit(r.from*width+first, part); err != nil || part == n {
			return err
		}
		first, n = 0, n-part
	}
	return nil
}

// ReadValues fills dst with values of w in row-major order, starting with the given one.
func ReadValues[T checkpoint.Real](w *Weight, first int64, dst []T) error {
	return read(w, first, dst, checkpoint.Read[T])
}

// ReadFinite is ReadValues for values that are computed with. It returns an error for NaN
// and Inf, which names the tensor and the position where such a value is stored.
func ReadFinite[T checkpoint.Real](w *Weight, first int64, dst []T) error {
	return read(w, first, dst, checkpoint.ReadFinite[T])
}

func read[T checkpoint.Real](w *Weight, first int64, dst []T, from func(*checkpoint.Tensor, int64, []T) error) error {
	rest := dst
	err := w.segments(first, int64(len(dst)), func(at, n int64) error {
		part := rest[:n]
		rest = rest[n:]
		return from(w.stored, at, part)
	})
	if err != nil || w.Plain() {
		return err
	}
	for i, v := range dst {
		dst[i] = T(w.Factor * (w.Shift + float64(v)))
	}
	return nil
}

// stored says where and how a family keeps a canonical weight. The zero value means that
// it keeps the weight under its canonical name and as it is.
type stored struct {
	name   string // the name in the checkpoint, without the prefix of the layer
	rows   []rows
	factor float64
	shift  float64
}

// keep notes that a checkpoint keeps a canonical weight under another name, in the given
// rows of that tensor; in all of them if none are given.
func (m *Model) keep(canonical, name string, where ...rows) {
	s := m.stored[canonical]
	s.name, s.rows = name, where
	m.setStored(canonical, s)
}

// multiply notes that the stock class multiplies the result of a canonical weight by a
// factor, so that the weight is read as if it had been multiplied by it.
func (m *Model) multiply(canonical string, factor float64) {
	s := m.stored[canonical]
	if s.factor == 0 {
		s.factor = 1
	}
	s.factor *= factor
	m.setStored(canonical, s)
}

// shift notes that the stock class adds a constant to each value of a canonical weight.
func (m *Model) shift(canonical string, by float64) {
	s := m.stored[canonical]
	s.shift = by
	m.setStored(canonical, s)
}

func (m *Model) setStored(canonical string, s stored) {
	if m.stored == nil {
		m.stored = make(map[string]stored)
	}
	m.stored[canonical] = s
}

// Weight returns the weight with a canonical name, prefix included; nil if the model has
// none of that name.
func (m *Model) Weight(name string) *Weight { return m.weights[name] }

// Weights returns all weights in the order of their names.
func (m *Model) Weights() []*Weight {
	all := make([]*Weight, 0, len(m.weights))
	for _, w := range m.weights {
		all = append(all, w)
	}
	slices.SortFunc(all, func(a, b *Weight) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// view finds the tensor that holds a canonical weight. The prefix is that of the layer
// that the weight belongs to, and empty if it belongs to none.
func (m *Model) view(prefix string, want TensorShape) (*Weight, error) {
	s := m.stored[want.Name]
	if s.name == "" {
		s.name = want.Name
	}
	if want.Name == Head && m.TiedHead {
		s.name = Embedding
		if e := m.stored[Embedding].name; e != "" {
			s.name = e
		}
	}
	w := &Weight{Name: prefix + want.Name, Shape: want.Shape, Factor: 1, Shift: s.shift, rows: s.rows}
	if s.factor != 0 {
		w.Factor = s.factor
	}
	if w.rows == nil {
		w.rows = []rows{{0, want.Shape[0]}}
	}
	name := prefix + s.name
	if within, ok := strings.CutPrefix(name, layers); ok && m.stem != "" {
		name = m.stem + within
	}
	w.stored = m.Source.Lookup(name)
	if w.stored == nil {
		return w, fmt.Errorf("tensor %q is missing", name)
	}
	return w, nil
}
