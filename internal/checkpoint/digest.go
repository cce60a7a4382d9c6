package checkpoint

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"path/filepath"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/mha2mla/mha2mla/internal/fsys"
)

// Digests holds the SHA-256 of each part of a file of weights, in hexadecimal. Together they
// cover all bytes of the file but those that fill up to an alignment.
type Digests struct {
	Header  string            `json:"header_sha256"` // of the header with its length and padding
	Tensors map[string]string `json:"tensors"`       // of each tensor's data, by its name
}

// Digest reads a whole safetensors or GGUF file and returns its digests. It returns an error if the
// header is malformed.
func Digest(ctx context.Context, path string) (*Digests, error) {
	f, _, err := OpenRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return digestFile(ctx, path, f)
}

// digestFile is Digest for a file that is open.
func digestFile(ctx context.Context, path string, in fsys.Input) (*Digests, error) {
	f, err := readFile(path, in)
	if err != nil {
		return nil, err
	}
	for _, t := range f.tensors {
		t.file = f
	}
	header, err := f.digestHeader(ctx)
	if err != nil {
		return nil, err
	}
	tensors, err := DigestTensors(ctx, f.asStored())
	return &Digests{header, tensors}, err
}

// digestHeader returns the digest of the header with its length and padding.
func (f *file) digestHeader(ctx context.Context) (string, error) {
	return DigestReader(ctx, io.NewSectionReader(f.f, 0, f.data))
}

// DigestTensors reads tensors, several at a time, and returns the digests by their names.
func DigestTensors(ctx context.Context, tensors []*Tensor) (map[string]string, error) {
	digests := make(map[string]string, len(tensors))
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, t := range tensors {
		group.Go(func() error {
			sum, err := DigestReader(ctx, t.Data())
			mu.Lock()
			defer mu.Unlock()
			digests[t.Name] = sum
			return err
		})
	}
	return digests, group.Wait()
}

// asStored lists the tensors as the file has them.
func (f *file) asStored() []*Tensor {
	if f.gguf != nil {
		return f.stored
	}
	return f.tensors
}

// Identity tells whether a file is another or has changed, without reading all of it.
type Identity struct {
	File    string `json:"file"` // name without folder
	Bytes   int64  `json:"bytes"`
	Changed int64  `json:"changed"` // time of the last change, in nanoseconds since 1970
	Header  string `json:"header_sha256"`
}

// Identities returns the identity of each of the source's files as it is now.
func (s *Source) Identities(ctx context.Context) ([]Identity, error) {
	var all []Identity
	for _, f := range s.files {
		info, err := f.f.Stat()
		if err != nil {
			return nil, err
		}
		header, err := f.digestHeader(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, Identity{filepath.Base(f.path), info.Size(), info.ModTime().UnixNano(), header})
	}
	return all, nil
}

// WeightsDigest is a safetensors file with its digests.
type WeightsDigest struct {
	File  string `json:"file"`  // name without folder
	Bytes int64  `json:"bytes"` // of the file
	*Digests
}

// Stored lists the tensors of all files as the files have them: of GGUF files those that are in
// them, and not what they show.
func (s *Source) Stored() (all []*Tensor) {
	for _, f := range s.files {
		all = append(all, f.asStored()...)
	}
	return all
}

// Digests returns the digests of the source's files, given those of all tensors by the names that
// they have there.
func (s *Source) Digests(ctx context.Context, tensors map[string]string) ([]WeightsDigest, error) {
	var all []WeightsDigest
	for _, f := range s.files {
		info, err := f.f.Stat()
		if err != nil {
			return nil, err
		}
		header, err := f.digestHeader(ctx)
		if err != nil {
			return nil, err
		}
		d := &Digests{Header: header, Tensors: make(map[string]string, len(f.asStored()))}
		for _, t := range f.asStored() {
			d.Tensors[t.Name] = tensors[t.Name]
		}
		all = append(all, WeightsDigest{filepath.Base(f.path), info.Size(), d})
	}
	return all, nil
}

// FileDigest is the digest of a whole file of any kind, and its size.
type FileDigest struct {
	File  string `json:"file"` // name without folder
	Bytes int64  `json:"bytes"`
	SHA   string `json:"sha256"`
}

// DigestFile reads a whole file and returns its digest. It returns a FormatError for
// anything but a regular file, because a pipe may never end.
func DigestFile(ctx context.Context, path string) (FileDigest, error) {
	f, info, err := OpenRegular(path)
	if err != nil {
		return FileDigest{}, err
	}
	defer f.Close()
	sum, err := DigestReader(ctx, io.NewSectionReader(f, 0, info.Size()))
	return FileDigest{filepath.Base(path), info.Size(), sum}, err
}

// DigestReader returns the SHA-256, in hexadecimal, of all bytes that r gives. It fails once
// ctx has ended.
func DigestReader(ctx context.Context, r io.Reader) (string, error) {
	h, buf := sha256.New(), make([]byte, chunk)
	for {
		if err := context.Cause(ctx); err != nil {
			return "", err
		}
		n, err := r.Read(buf)
		h.Write(buf[:n])
		if errors.Is(err, io.EOF) {
			return hexSum(h), nil
		}
		if err != nil {
			return "", err
		}
	}
}

// DigestBytes returns the SHA-256 of b in hexadecimal.
func DigestBytes(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func hexSum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }
