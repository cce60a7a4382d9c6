package pth

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
)

// Tensor is a contiguous tensor of bytes, torch.uint8.
type Tensor struct {
	Shape []int
	Data  []byte // row-major
}

const (
	maxFile   = 64 << 20 // bytes of the largest file; a ranking has one byte per layer and key dimension
	maxPickle = 64 << 10 // bytes of the largest pickle
	maxDims   = 8        // most dimensions of a tensor
)

// ReadFile reads the tensor in the file at path. It returns a checkpoint.FormatError if the
// file holds anything but one contiguous tensor of bytes.
func ReadFile(path string) (*Tensor, error) {
	content, err := checkpoint.ReadFile(path, maxFile)
	if err != nil {
		return nil, err
	}
	t, err := Parse(content)
	if err != nil {
		return nil, &checkpoint.FormatError{Path: path, What: err.Error(), Tip: "name a file that torch.save wrote of one uint8 tensor"}
	}
	return t, nil
}

// Parse reads the tensor from the content of a file. It returns an error if that is anything
// but one contiguous tensor of bytes.
func Parse(content []byte) (*Tensor, error) {
	switch {
	case len(content) > maxFile:
		return nil, fmt.Errorf("more than %d bytes: this is no ranking", maxFile)
	case bytes.HasPrefix(content, []byte{opProto}):
		return nil, fmt.Errorf("the legacy format of PyTorch, a bare pickle, is not read: save it again with a newer torch.save")
	case !bytes.HasPrefix(content, []byte("PK")):
		return nil, fmt.Errorf("not a file of torch.save: it is no zip archive")
	}
	archive, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return nil, err
	}
	folder, err := folderOf(archive)
	if err != nil {
		return nil, err
	}
	program, err := entry(archive, folder+"data.pkl", maxPickle)
	if err != nil {
		return nil, err
	}
	v, err := run(program)
	if err != nil {
		return nil, fmt.Errorf("data.pkl: %w", err)
	}
	data, err := entry(archive, folder+"data/"+v.storage.key, maxFile)
	if err != nil {
		return nil, err
	}
	if int64(len(data)) != v.storage.bytes {
		return nil, fmt.Errorf("data/%s has %d bytes and should have %d", v.storage.key, len(data), v.storage.bytes)
	}
	return &Tensor{Shape: v.shape, Data: data[v.offset : v.offset+v.size]}, nil
}

// folderOf returns the folder of the archive in which everything lies, with a slash at its
// end.
func folderOf(archive *zip.Reader) (string, error) {
	found, name := 0, ""
	for _, f := range archive.File {
		if strings.HasSuffix(f.Name, "/data.pkl") {
			found, name = found+1, f.Name
		}
	}
	if found != 1 {
		return "", fmt.Errorf("not a file of torch.save: the archive has %d files data.pkl", found)
	}
	return strings.TrimSuffix(name, "data.pkl"), nil
}

// entry returns the content of the one file of the archive that has the name. It refuses
// compressed files, which could unpack to any size and which torch.save does not write, and
// files of more than most bytes.
func entry(archive *zip.Reader, name string, most uint64) ([]byte, error) {
	var file *zip.File
	for _, f := range archive.File {
		if f.Name != name {
			continue
		}
		if file != nil {
			return nil, fmt.Errorf("the archive has %q twice", name)
		}
		file = f
	}
	switch {
	case file == nil:
		return nil, fmt.Errorf("the archive has no %q", name)
	case file.Method != zip.Store:
		return nil, fmt.Errorf("%q is compressed, which torch.save never does", name)
	case file.UncompressedSize64 > most:
		return nil, fmt.Errorf("%q has %d bytes, above %d", name, file.UncompressedSize64, most)
	}
	r, err := file.Open()
	if err != nil {
		return nil, fmt.Errorf("%q: %w", name, err)
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", name, err)
	}
	return content, nil
}
