package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/mha2mla/mha2mla/internal/fsys"
	"github.com/mha2mla/mha2mla/internal/gguf"
	"github.com/mha2mla/mha2mla/internal/llamacpp"
)

// splitName matches the name of a part of a split GGUF file.
var splitName = regexp.MustCompile(`^(.*)-(\d{5})-of-(\d{5})\.gguf$`)

// PartGGUF returns the path of one of the parts, counted from 1, into which a GGUF file is split
// whose path is stem but for its extension.
func PartGGUF(stem string, part, of int) string {
	return fmt.Sprintf("%s-%05d-of-%05d.gguf", stem, part, of)
}

// wholeGGUF returns the path of the GGUF file of which the file at path is a part, by its name; path
// itself if it is none.
func wholeGGUF(path string) string {
	name := splitName.FindStringSubmatch(filepath.Base(path))
	if name == nil {
		return path
	}
	return filepath.Join(filepath.Dir(path), name[1]+".gguf")
}

// isGGUF reports whether an open file begins as GGUF files do.
func isGGUF(f fsys.Input) bool {
	prefix := make([]byte, len(gguf.Magic))
	n, _ := f.ReadAt(prefix, 0)
	return string(prefix[:n]) == gguf.Magic
}

// readGGUF checks the header of a GGUF file that is open.
func readGGUF(path string, f fsys.Input) (*file, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	g, err := gguf.Read(f, info.Size())
	if err != nil {
		return nil, malformed(path, err)
	}
	opened := &file{header: &header{data: g.Data}, path: path, f: f, state: info, gguf: g}
	for _, t := range g.Tensors {
		raw := t.Raw()
		opened.stored = append(opened.stored, &Tensor{Name: t.Name, Shape: t.Shape, end: raw.Size(), view: raw, file: opened})
	}
	return opened, nil
}

// presentGGUF makes the source of GGUF files what the checkpoint was that they were made of.
// The only file that is open may be the first part of a split one, whose other parts are
// opened then.
func (s *Source) presentGGUF() error {
	first := s.files[0]
	if err := s.openParts(first); err != nil {
		return err
	}
	parts := make([]*gguf.File, len(s.files))
	for i, f := range s.files {
		parts[i] = f.gguf
	}
	model, err := llamacpp.Read(parts)
	var unsupported *llamacpp.UnsupportedError
	switch {
	case errors.As(err, &unsupported):
		return err
	case err != nil:
		return malformed(first.path, err)
	}
	s.model = model
	for _, t := range model.Tensors {
		shown := &Tensor{Name: t.Name, DType: DType(t.DType), Shape: t.Shape, view: t.Data}
		size, err := byteSize(shown.DType, shown.Shape)
		if err != nil {
			return malformed(first.path, fmt.Errorf("tensor %q: %w", t.Name, err))
		}
		shown.end = int64(size)
		first.tensors = append(first.tensors, shown)
	}
	return nil
}

// openParts opens the other parts of a split GGUF file, and makes sure that together they are
// whole.
func (s *Source) openParts(first *file) error {
	tensors := len(first.gguf.Tensors)
	count, there, err := first.gguf.Metadata.Uint(gguf.PartsKey)
	if err != nil {
		return malformed(first.path, err)
	}
	if !there || count <= 1 {
		return nil
	}
	name := splitName.FindStringSubmatch(filepath.Base(first.path))
	if name == nil || name[3] != fmt.Sprintf("%05d", count) {
		return &FormatError{first.path, fmt.Sprintf("it is one of %d parts, and its name does not say which", count), "give it the name that it had: NAME-00001-of-00002.gguf"}
	}
	if name[2] != "00001" {
		return &FormatError{first.path, "it is not the first part of the model", "name the first part"}
	}
	for n := range count {
		f := first
		if n > 0 {
			path := PartGGUF(filepath.Join(s.Dir, name[1]), int(n+1), int(count))
			f, err = openFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				return &FormatError{first.path, fmt.Sprintf("part %q is missing", filepath.Base(path)), "download it again"}
			}
			if err != nil {
				return err
			}
			s.files = append(s.files, f)
			if f.gguf == nil {
				return &FormatError{path, "this is no GGUF file", "download it again"}
			}
			tensors += len(f.gguf.Tensors)
		}
		for key, want := range map[string]uint64{gguf.PartKey: n, gguf.PartsKey: count} {
			if v, _, err := f.gguf.Metadata.Uint(key); err != nil || v != want {
				return &FormatError{f.path, fmt.Sprintf("key %q is not %d: it is a part of another model, or another part", key, want), "download it again"}
			}
		}
	}
	if want, there, err := first.gguf.Metadata.Uint(gguf.PartsTensorsKey); err != nil || there && want != uint64(tensors) {
		return &FormatError{first.path, fmt.Sprintf("the parts hold %d tensors and should hold %d", tensors, want), "download them again"}
	}
	return nil
}

// GGUF returns the keys and values of a source that is a GGUF file; nil of any other.
func (s *Source) GGUF() gguf.Metadata {
	if s.model == nil {
		return nil
	}
	return s.model.Metadata
}

// Quantised reports whether the numbers of the source come from blocks of a GGUF file that
// have fewer bits than the type that its tensors have here.
func (s *Source) Quantised() bool { return s != nil && s.model != nil && s.model.Quantised }

// Carried lists the names of the files that belong beside the weights and that the source
// carries in itself, as a GGUF file does. Beside reads them.
func (s *Source) Carried() []string {
	if s.model == nil {
		return nil
	}
	return s.model.Files()
}

// Beside returns the content of a file beside the weights, of at most so many bytes, and the
// path that it is read from. It returns fs.ErrNotExist if there is none.
func (s *Source) Beside(name string, most int64) (content []byte, path string, err error) {
	if s.model == nil {
		return Folder(s.Dir).Beside(name, most)
	}
	if path = filepath.Join(s.Dir, name); !slices.Contains(s.model.Files(), name) {
		return nil, path, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	content, err = s.model.File(name)
	var unsupported *llamacpp.UnsupportedError
	if err != nil && !errors.As(err, &unsupported) {
		err = malformed(s.Path, err)
	}
	return content, s.Path, err
}

// Folder is the path of a folder of files.
type Folder string

// Beside returns the content of a file of the folder, of at most so many bytes, and its path.
func (f Folder) Beside(name string, most int64) (content []byte, path string, err error) {
	path = filepath.Join(string(f), name)
	content, err = ReadFile(path, most)
	return content, path, err
}

// ReadAt reads bytes of the tensor's data, as an io.ReaderAt does.
func (t *Tensor) ReadAt(p []byte, off int64) (int, error) {
	if t.view != nil {
		return t.view.ReadAt(p, off)
	}
	if left := t.Bytes() - off; left < int64(len(p)) {
		p = p[:max(left, 0)]
		n, err := t.file.f.ReadAt(p, t.file.data+t.begin+off)
		if err == nil {
			err = io.EOF
		}
		return n, err
	}
	return t.file.f.ReadAt(p, t.file.data+t.begin+off)
}
