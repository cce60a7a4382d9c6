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

// Digests are SHA-256 of the parts of a safetensors file, in hexadecimal. All
// bytes of the file count.
type Digests struct {
	Header  string            `json:"header_sha256"` // length and padding included
	Tensors map[string]string `json:"tensors"`       // of the data, by name
}

// Digest reads a whole safetensors file, of which the header must be sound.
func Digest(ctx context.Context, path string) (*Digests, error) {
	f, _, err := OpenRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return digestFile(ctx, path, f)
}

// digestFile is Digest of a file that is open.
func digestFile(ctx context.Context, path string, in fsys.Input) (*Digests, error) {
	f, err := readFile(path, in)
	if err != nil {
		return nil, err
	}
	for _, t := range f.tensors {
		t.file = f
	}
	return f.digest(ctx, func(string) bool { return false })
}

// digest reads the file, but for tensors that are known.
func (f *file) digest(ctx context.Context, known func(tensor string) bool) (*Digests, error) {
	header, err := DigestReader(ctx, io.NewSectionReader(f.f, 0, f.data))
	if err != nil {
		return nil, err
	}
	d := &Digests{Header: header, Tensors: make(map[string]string, len(f.tensors))}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, t := range f.tensors {
		if known(t.Name) {
			continue
		}
		group.Go(func() error {
			sum, err := DigestReader(ctx, t.Data())
			mu.Lock()
			defer mu.Unlock()
			d.Tensors[t.Name] = sum
			return err
		})
	}
	return d, group.Wait()
}

// Identity tells a file from others, and from what it was, without reading all of
// it.
type Identity struct {
	File    string `json:"file"` // name without folder
	Bytes   int64  `json:"bytes"`
	Changed int64  `json:"changed"` // nanoseconds
	Header  string `json:"header_sha256"`
}

// Identities are those of the source's files as they are now.
func (s *Source) Identities(ctx context.Context) ([]Identity, error) {
	var all []Identity
	for _, f := range s.files {
		info, err := f.f.Stat()
		if err != nil {
			return nil, err
		}
		header, err := DigestReader(ctx, io.NewSectionReader(f.f, 0, f.data))
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

// Digests are those of the source's files, but for tensors that known says are
// digested elsewhere.
func (s *Source) Digests(ctx context.Context, known func(tensor string) bool) ([]WeightsDigest, error) {
	var all []WeightsDigest
	for _, f := range s.files {
		info, err := f.f.Stat()
		if err != nil {
			return nil, err
		}
		d, err := f.digest(ctx, known)
		if err != nil {
			return nil, err
		}
		all = append(all, WeightsDigest{filepath.Base(f.path), info.Size(), d})
	}
	return all, nil
}

// FileDigest is the digest of a whole file, whatever it is, and its size.
type FileDigest struct {
	File  string `json:"file"` // name without folder
	Bytes int64  `json:"bytes"`
	SHA   string `json:"sha256"`
}

// DigestFile reads a whole file. What is no file is a FormatError: a pipe may never
// end.
func DigestFile(ctx context.Context, path string) (FileDigest, error) {
	f, info, err := OpenRegular(path)
	if err != nil {
		return FileDigest{}, err
	}
	defer f.Close()
	sum, err := DigestReader(ctx, io.NewSectionReader(f, 0, info.Size()))
	return FileDigest{filepath.Base(path), info.Size(), sum}, err
}

// DigestReader is the SHA-256 of all that r gives.
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

// DigestBytes is the SHA-256 of b.
func DigestBytes(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func hexSum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }
