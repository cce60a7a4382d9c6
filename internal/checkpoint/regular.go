package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// OpenRegular opens a file for reading, which must be a regular one: pipes, devices
// and sockets have no size, and may have no end.
func OpenRegular(path string) (*os.File, fs.FileInfo, error) { return open(path, 0) }

// OpenStream is OpenRegular for what is read once from its beginning: it may be a
// pipe, too. Whoever is at its other end may stay silent: opening and reading end with
// ctx.
func OpenStream(ctx context.Context, path string) (io.ReadCloser, error) {
	opened := make(chan func() (*os.File, error), 1)
	go func() {
		f, _, err := open(path, fs.ModeNamedPipe)
		opened <- func() (*os.File, error) { return f, err }
	}()
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case result := <-opened:
		f, err := result()
		if err != nil {
			return nil, err
		}
		return &stream{ctx: ctx, f: f}, nil
	}
}

// stream is a file that may never answer. Once its context has ended, a read that goes
// on has the buffer for itself.
type stream struct {
	ctx context.Context
	f   *os.File
	buf []byte
}

// Read reads what there is.
func (s *stream) Read(p []byte) (int, error) {
	p = p[:min(len(p), chunk)]
	if cap(s.buf) < len(p) {
		s.buf = make([]byte, len(p))
	}
	type result struct {
		n   int
		err error
	}
	buf, done := s.buf[:len(p)], make(chan result, 1)
	go func() {
		n, err := s.f.Read(buf)
		done <- result{n, err}
	}()
	select {
	case <-s.ctx.Done():
		s.buf = nil
		return 0, context.Cause(s.ctx)
	case r := <-done:
		return copy(p, buf[:r.n]), r.err
	}
}

// Close closes the file, unless it is still being read.
func (s *stream) Close() error {
	if s.ctx.Err() != nil {
		return nil
	}
	return s.f.Close()
}

// open opens a file that is regular or of the type allowed.
func open(path string, allowed fs.FileMode) (*os.File, fs.FileInfo, error) {
	check := func(info fs.FileInfo, err error) error {
		if err != nil {
			return err
		}
		if kind := info.Mode().Type(); kind != 0 && kind != allowed {
			return &FormatError{Path: path, What: "not a regular file, but " + kindOf(kind)}
		}
		return nil
	}
	if err := check(os.Stat(path)); err != nil { // before it waits for the other end of a pipe
		return nil, nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err := check(info, err); err != nil { // what was opened may be another file
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

// kindOf names a type of file.
func kindOf(t fs.FileMode) string {
	switch {
	case t&fs.ModeDir != 0:
		return "a directory"
	case t&fs.ModeNamedPipe != 0:
		return "a pipe"
	case t&fs.ModeSocket != 0:
		return "a socket"
	case t&fs.ModeDevice != 0:
		return "a device"
	default:
		return "something irregular"
	}
}

// ReadFile returns the content of a regular file of at most so many bytes.
func ReadFile(path string, most int64) ([]byte, error) {
	f, info, err := OpenRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info.Size() > most { // some files of the system have none
		return nil, tooLarge(path, info.Size(), most)
	}
	content, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(content)) > most {
		err = tooLarge(path, int64(len(content)), most)
	}
	return content, err
}

func tooLarge(path string, size, most int64) error {
	return &FormatError{Path: path, What: fmt.Sprintf("too large: %d bytes or more, and at most %d are read", size, most)}
}
