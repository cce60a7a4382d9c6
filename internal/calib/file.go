package calib

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/family"
)

// formatVersion is the version of the form of statistics files, as the file says it.
const formatVersion = "2"

// Info is the description that a statistics file carries.
type Info struct {
	Model  string   `json:"model"`  // fingerprint of the checkpoint
	Data   []string `json:"data"`   // fingerprints of the windows of tokens that were added up
	Tokens int64    `json:"tokens"` // in all windows
	Window int      `json:"window"` // of the longest window
}

// File is a statistics file open for reading: a safetensors file with the sums
// of every layer.
type File struct {
	Info
	src *checkpoint.Source
}

// Open opens the statistics file at path. The error is a checkpoint.FormatError if the
// file there is none.
func Open(path string) (*File, error) {
	src, err := checkpoint.Open(path)
	if err != nil {
		return nil, err
	}
	f := &File{src: src}
	if err := f.parse(); err != nil {
		return nil, errors.Join(f.malformed("%v", err), src.Close())
	}
	return f, nil
}

// parse reads the metadata.
func (f *File) parse() error {
	if version := f.src.Metadata("mha2mla_statistics"); version != formatVersion {
		return fmt.Errorf("not a statistics file of version %s", formatVersion)
	}
	if err := json.Unmarshal([]byte(f.src.Metadata("info")), &f.Info); err != nil {
		return fmt.Errorf("metadata %q: %v", "info", err)
	}
	if f.Tokens <= 0 || f.Window <= 0 || len(f.Data) == 0 {
		return errors.New("it says that nothing was added up")
	}
	return nil
}

// malformed returns the error of a file that is not the statistics file it should be.
func (f *File) malformed(format string, args ...any) error {
	return &checkpoint.FormatError{Path: f.src.Path, What: fmt.Sprintf(format, args...), Tip: "make it with mha2mla calibrate"}
}

// Unchanged is an error if the file was changed since it was opened.
func (f *File) Unchanged() error { return f.src.Unchanged() }

// Close closes the file.
func (f *File) Close() error { return f.src.Close() }

// For is an error if the statistics are not those of m, or tensors are missing or of
// wrong shapes.
func (f *File) For(m *family.Model) error { return f.complete(m, true) }

// complete is For, where there may be no sample.
func (f *File) complete(m *family.Model, sample bool) error {
	model, err := Fingerprint(m)
	switch {
	case err != nil:
		return err
	case model != f.Model:
		return f.malformed("statistics of another checkpoint than %q", m.Source.Path)
	}
	for n := range m.Layers {
		for name, shape := range shapes(m, f.Window) {
			t := f.src.Lookup(inFile(n, name))
			if t == nil || t.DType != checkpoint.F64 || !slices.Equal(t.Shape, shape) {
				return f.malformed("tensor %q is missing or is not %v of F64", inFile(n, name), shape)
			}
		}
		if !sample {
			continue
		}
		t := f.src.Lookup(inFile(n, sampleInputs))
		if t == nil || t.DType != checkpoint.F32 || len(t.Shape) != 3 || t.Shape[0] < 1 || t.Shape[1] < 1 || t.Shape[2] != int64(m.Hidden) {
			return f.malformed("tensor %q is missing or has no shape [windows, tokens, %d] of F32", inFile(n, sampleInputs), m.Hidden)
		}
	}
	return nil
}

// Memory estimates the bytes that the sums of a layer take.
func (f *File) Memory() int64 {
	most := int64(0)
	for _, t := range f.src.Tensors() {
		most += 2 * 8 * t.Elements() // once as read, and once for what is computed from them
	}
	return most / max(1, f.layers())
}

// layers returns how many layers the file has sums of.
func (f *File) layers() int64 {
	n := int64(0)
	for f.src.Lookup(inFile(int(n), "input_sum")) != nil {
		n++
	}
	return n
}

// Sums reads the sums of a layer. The file must be For the model.
func (f *File) Sums(layer int) (*Sums, error) {
	s := &Sums{Tokens: float64(f.Tokens)}
	for name, into := range s.fields() {
		t := f.src.Lookup(inFile(layer, name))
		if t == nil {
			continue // only other families have it
		}
		*into = make([]float64, t.Elements())
		if err := checkpoint.ReadFinite(t, 0, *into); err != nil {
			return nil, err
		}
	}
	d := len(s.Mean)
	s.Input, s.Attended = mat.NewSymDense(d, nil), mat.NewSymDense(d, nil)
	for name, m := range s.moments() {
		if err := readTriangle(f.src.Lookup(inFile(layer, name)), m); err != nil {
			return nil, err
		}
	}
	return s, f.readSample(layer, s)
}

// readTriangle reads the upper triangle of m, row by row.
func readTriangle(t *checkpoint.Tensor, m *mat.SymDense) error {
	d := m.SymmetricDim()
	for i, at := 0, int64(0); i < d; i++ {
		row := m.RawSymmetric().Data[i*d+i : (i+1)*d]
		if err := checkpoint.ReadFinite(t, at, row); err != nil {
			return err
		}
		at += int64(len(row))
	}
	return nil
}

// readSample reads the sampled inputs of a layer, if there are any.
func (f *File) readSample(layer int, s *Sums) error {
	t := f.src.Lookup(inFile(layer, sampleInputs))
	if t == nil {
		return nil
	}
	windows, length, d := int(t.Shape[0]), int(t.Shape[1]), int(t.Shape[2])
	for i := range windows {
		x := f32.New(length, d)
		if err := checkpoint.ReadFinite(t, int64(i*len(x.Data)), x.Data); err != nil {
			return err
		}
		s.Sample = append(s.Sample, x)
	}
	return nil
}

// sampleInputs names the sampled inputs, [windows, tokens, d].
const sampleInputs = "sample"

// inFile returns the name that a tensor of a layer has in the file.
func inFile(layer int, name string) string { return fmt.Sprintf("layers.%d.%s", layer, name) }

// shapes returns the shapes that a layer's sums have in the file, by their names.
func shapes(m *family.Model, window int) map[string][]int64 {
	d, H, G, J := int64(m.Hidden), int64(m.Heads), int64(m.KVHeads), int64(m.HeadDim/2)
	all := map[string][]int64{
		"input_moment": {d * (d + 1) / 2}, "attended_moment": {d * (d + 1) / 2}, "input_sum": {d},
		"query_norms": {H * J}, "key_norms": {G * J},
		"distances": {int64(window)}, "scores": {H}, "values": {H}, "head_distances": {H * int64(window)},
	}
	if m.HeadNorms {
		D := int64(m.HeadDim)
		all["query_rms"], all["key_rms"] = []int64{rmsSums * H}, []int64{rmsSums * G}
		all["query_cross"], all["key_cross"], all["attended_cross"] = []int64{H * D * d}, []int64{G * D * d}, []int64{G * D * d}
	}
	return all
}

// Merged adds up the statistics of several files of one model.
type Merged []*File

// Merge returns the sum of files, which is the same whatever order they are in: they are added
// in that of their tokens' fingerprints, and the sample is that of the first. It is an error if
// one is not of m, or if two are of the same tokens.
func Merge(m *family.Model, files []*File) (Merged, error) {
	seen := make(map[string]bool)
	for _, f := range files {
		if err := f.For(m); err != nil {
			return nil, err
		}
		for _, data := range f.Data {
			if seen[data] {
				return nil, f.malformed("its tokens are counted already, in another file")
			}
			seen[data] = true
		}
	}
	merged := Merged(slices.Clone(files))
	slices.SortFunc(merged, func(a, b *File) int { return slices.Compare(a.Data, b.Data) })
	return merged, nil
}

// Memory estimates the bytes that the added sums of a layer take.
func (m Merged) Memory() int64 {
	most := int64(0)
	for _, f := range m {
		most = max(most, f.Memory())
	}
	return 2 * most
}

// Unchanged is an error if one of the files was changed since it was opened.
func (m Merged) Unchanged() error {
	for _, f := range m {
		if err := f.Unchanged(); err != nil {
			return err
		}
	}
	return nil
}

// Info describes the sum.
func (m Merged) Info() Info {
	info := Info{}
	for _, f := range m {
		info.Model = f.Model
		info.Data = append(info.Data, f.Data...)
		info.Tokens += f.Tokens
		info.Window = max(info.Window, f.Window)
	}
	slices.Sort(info.Data) // so that the order of the files does not matter
	return info
}

// Sums returns the added sums of a layer.
func (m Merged) Sums(layer int) (*Sums, error) {
	total, err := m[0].Sums(layer)
	for _, f := range m[1:] {
		if err != nil {
			return nil, err
		}
		var s *Sums
		if s, err = f.Sums(layer); err == nil {
			total.Add(s)
		}
	}
	return total, err
}
