package calib

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/fsys"
	"github.com/mha2mla/mha2mla/internal/tokens"
	"gonum.org/v1/gonum/mat"
)

// Gather runs m on a text and writes its statistics, added to those of add, to path. Either
// the text or add may be empty. It replaces an existing file only if force is set, and the
// file appears when it is whole. Errors are those of Collect and of writing, and a
// checkpoint.FormatError if add counts these tokens already.
func Gather(ctx context.Context, m *family.Model, t Text, add Merged, path string, force bool, progress func(done, total int64)) (info Info, err error) {
	info, err = describe(m, t.Kept)
	if err != nil {
		return info, err
	}
	for _, f := range add {
		if slices.Contains(f.Data, info.Data[0]) {
			return info, f.malformed("the tokens are counted in it already")
		}
	}
	if sum := add.Info(); sum.Tokens > 0 {
		info.Window, info.Tokens = max(info.Window, sum.Window), info.Tokens+sum.Tokens
		info.Data = append(info.Data, sum.Data...)
		if len(t.Kept) == 0 {
			info.Data = sum.Data
		}
		slices.Sort(info.Data)
	}
	name := filepath.Base(path)
	out, err := checkpoint.NewOutput(m.Source, filepath.Dir(path), []string{name}, false, force)
	if err != nil {
		return info, err
	}
	defer func() { err = errors.Join(err, out.Discard()) }()
	sample := sampleShape(t.chunks(), m.Hidden)
	if len(t.Kept) == 0 {
		sample = add[0].src.Lookup(inFile(0, sampleInputs)).Shape
	}
	f, err := out.Create(name)
	if err != nil {
		return info, err
	}
	err = fill(ctx, m, f, info, sample, func(take func(int, *Sums) error) error {
		err := Collect(ctx, m, t, func() string { return out.Scratch("streams") }, func(layer int, sums *Sums) error {
			if len(add) > 0 {
				others, err := add.Sums(layer)
				if err != nil {
					return err
				}
				sums.Add(others)
				if len(t.Kept) == 0 {
					sums.Sample = others.Sample
				}
			}
			return take(layer, sums)
		}, progress)
		if err != nil {
			return err
		}
		return errors.Join(m.Source.Unchanged(), add.Unchanged())
	})
	if err != nil {
		return info, err
	}
	return info, out.Commit()
}

// describe returns the Info of a file of statistics of m over windows.
func describe(m *family.Model, windows tokens.Windows) (Info, error) {
	model, err := Fingerprint(m)
	info := Info{Model: model, Window: windows.Longest(), Tokens: int64(windows.Tokens())}
	hash := sha256.New()
	for _, w := range windows {
		ids := []int64{int64(len(w))}
		for _, id := range w {
			ids = append(ids, int64(id))
		}
		binary.Write(hash, binary.LittleEndian, ids) //nolint:errcheck // a hash takes everything
	}
	info.Data = []string{hex.EncodeToString(hash.Sum(nil))}
	return info, err
}

// Fingerprint tells a checkpoint from others: by its shape, the names, types and
// shapes of its tensors, and the beginning of each.
func Fingerprint(m *family.Model) (string, error) {
	const beginning = 4096
	hash := sha256.New()
	fmt.Fprintf(hash, "%+v %v %v\n", m.Shape(), m.RopeTheta, m.NormEps)
	if !m.Rotates() {
		fmt.Fprintf(hash, "%d %v\n", m.RotaryDims, m.Still)
	}
	if m.Rope != nil {
		fmt.Fprintf(hash, "%+v\n", *m.Rope)
	}
	for _, w := range m.Weights() {
		if !w.Plain() { // the configuration changes what its values mean
			fmt.Fprintf(hash, "%q %v %v\n", w.Name, w.Factor, w.Shift)
		}
	}
	for _, t := range m.Source.Tensors() {
		fmt.Fprintf(hash, "%q %s %v\n", t.Name, t.DType, t.Shape)
		if _, err := io.Copy(hash, io.LimitReader(t.Data(), beginning)); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// fill writes a statistics file to f, which it closes, of sums that give hands over layer by layer.
// Each has a sample of the given shape.
func fill(ctx context.Context, m *family.Model, f fsys.File, info Info, sample []int64, give func(take func(layer int, s *Sums) error) error) error {
	w, err := create(m, f, info, sample)
	if err != nil {
		return err
	}
	err = give(func(layer int, s *Sums) error { return write(w, layer, s, info.Window) })
	if err != nil {
		return errors.Join(err, w.Abandon())
	}
	if err := w.Close(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// create begins a statistics file with room for all layers, each with a sample of the given shape.
func create(m *family.Model, f fsys.File, info Info, sample []int64) (*checkpoint.Writer, error) {
	text, err := json.Marshal(info)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	var specs []checkpoint.Spec
	for n := range m.Layers {
		for name, shape := range shapes(m, info.Window) {
			specs = append(specs, checkpoint.Spec{Name: inFile(n, name), DType: checkpoint.F64, Shape: shape})
		}
		if sample[0] > 0 {
			specs = append(specs, checkpoint.Spec{Name: inFile(n, sampleInputs), DType: checkpoint.F32, Shape: sample})
		}
	}
	return checkpoint.NewWriter(f, specs, map[string]string{"mha2mla_statistics": formatVersion, "info": string(text)})
}

// write writes the sums of a layer, of which no window was longer than the given number of
// tokens.
func write(w *checkpoint.Writer, layer int, s *Sums, window int) error {
	s.lengthen(window)
	for name, v := range s.vectors() {
		if len(v) == 0 {
			continue // only other families have it
		}
		t := w.Tensor(inFile(layer, name))
		if err := errors.Join(t.WriteFloats(v), t.Close()); err != nil {
			return err
		}
	}
	for name, m := range s.moments() {
		if err := writeTriangle(w.Tensor(inFile(layer, name)), m); err != nil {
			return err
		}
	}
	if len(s.Sample) == 0 {
		return nil
	}
	return writeSample(w.Tensor(inFile(layer, sampleInputs)), s.Sample)
}

// writeTriangle writes the upper triangle of m, row by row.
func writeTriangle(t *checkpoint.TensorWriter, m *mat.SymDense) error {
	d := m.SymmetricDim()
	for i := range d {
		if err := t.WriteFloats(m.RawSymmetric().Data[i*d+i : (i+1)*d]); err != nil {
			return err
		}
	}
	return t.Close()
}

// writeSample writes the sampled inputs of a layer.
func writeSample(t *checkpoint.TensorWriter, sample []f32.Matrix) error {
	for _, x := range sample {
		if err := t.WriteFloats(f32.Double(x.Data)); err != nil {
			return err
		}
	}
	return t.Close()
}
