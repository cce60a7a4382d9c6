package manifest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
)

// Report holds the result of a check. Its fields are the members of the JSON output.
type Report struct {
	Path     string    `json:"path"`
	Files    int       `json:"files"`   // number of files that were read
	Tensors  int       `json:"tensors"` // number of tensors in them
	Bytes    int64     `json:"bytes"`   // size of these files
	Findings []Finding `json:"findings"`
}

// Finding says that a file or a tensor is not as it was written.
type Finding struct {
	File   string `json:"file"`
	Tensor string `json:"tensor,omitempty"` // empty if the finding is about the file
	What   string `json:"what"`
}

func (f Finding) String() string {
	if f.Tensor != "" {
		return fmt.Sprintf("%q: tensor %q %s", f.File, f.Tensor, f.What)
	}
	return fmt.Sprintf("%q %s", f.File, f.What)
}

// Check reads every file of the output at path, which is a directory or a file of weights,
// and compares it with the manifest beside it. It ignores names that begin with a dot, as
// loaders do. It returns a checkpoint.FormatError if there is no manifest.
func Check(ctx context.Context, path string) (*Report, error) {
	folder, file, err := locate(path)
	if err != nil {
		return nil, err
	}
	r := &Report{Path: path, Findings: []Finding{}}
	m, changed, err := read(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &checkpoint.FormatError{Path: path, What: fmt.Sprintf("there is no manifest %q", filepath.Base(file)), Tip: "only what mha2mla convert has written can be checked"}
	case errors.As(err, new(*checkpoint.FormatError)):
		r.found(filepath.Base(file), "", "was changed: "+err.(*checkpoint.FormatError).What)
		return r, nil
	case err != nil:
		return nil, err
	case changed:
		r.found(filepath.Base(file), "", "was changed")
	}
	if folder != path && !m.describes(path) {
		r.found(filepath.Base(file), "", fmt.Sprintf("is not the manifest of %q", filepath.Base(path)))
	}
	if err := r.compare(ctx, m, folder); err != nil {
		return nil, err
	}
	if m.Whole {
		err = r.extras(folder, append(m.names(), filepath.Base(file)))
	}
	return r, err
}

func (r *Report) found(file, tensor, what string) {
	r.Findings = append(r.Findings, Finding{file, tensor, what})
}

// compare compares the files in folder with what the manifest says of them.
func (r *Report) compare(ctx context.Context, m *Manifest, folder string) error {
	for _, w := range m.Weights {
		if err := r.weights(ctx, w, folder); err != nil {
			return err
		}
	}
	for _, want := range m.Files {
		got, err := checkpoint.DigestFile(ctx, filepath.Join(folder, want.File))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			r.found(want.File, "", "is missing")
			continue
		case errors.As(err, new(*checkpoint.FormatError)):
			r.found(want.File, "", "is not a regular file")
			continue
		case err != nil:
			return err
		case got != want:
			r.found(want.File, "", "was changed")
		}
		r.Files, r.Bytes = r.Files+1, r.Bytes+got.Bytes
	}
	return nil
}

// weights compares a safetensors file with its digests.
func (r *Report) weights(ctx context.Context, want checkpoint.WeightsDigest, folder string) error {
	path := filepath.Join(folder, want.File)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		r.found(want.File, "", "is missing")
		return nil
	}
	if err != nil {
		return err
	}
	got, err := checkpoint.Digest(ctx, path)
	var malformed *checkpoint.FormatError
	switch {
	case errors.As(err, &malformed):
		r.found(want.File, "", "was changed: "+malformed.What)
		return nil
	case err != nil:
		return err
	}
	r.Files, r.Tensors, r.Bytes = r.Files+1, r.Tensors+len(got.Tensors), r.Bytes+info.Size()
	expected := want.Digests
	if expected == nil {
		expected = &checkpoint.Digests{}
	}
	if got.Header != expected.Header {
		r.found(want.File, "", "has another header")
	}
	for _, name := range slices.Sorted(maps.Keys(expected.Tensors)) {
		sum, there := got.Tensors[name]
		switch {
		case !there:
			r.found(want.File, name, "is missing")
		case sum != expected.Tensors[name]:
			r.found(want.File, name, "was changed")
		}
	}
	return nil
}

// extras reports the files in folder that are not among names.
func (r *Report) extras(folder string, names []string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !slices.Contains(names, e.Name()) && !strings.HasPrefix(e.Name(), ".") {
			r.found(e.Name(), "", "was not written by the conversion")
		}
	}
	return nil
}
