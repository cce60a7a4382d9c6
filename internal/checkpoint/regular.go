package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// OpenRegular opens a regular file for reading. It refuses pipes, devices and sockets,
// which have no size and may have no end.
func OpenRegular(path string) (*os.File, fs.FileInfo, error) { return open(path, 0) }

// OpenStream is OpenRegular for content that is read once, from its beginning, so that it
// may come from a pipe, too. The other end of a pipe may stay silent forever. Therefore
// opening and reading fail once ctx has ended.
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

// stream is a file that may never answer. A read that still waits when the context ends
// cannot be stopped. It keeps the buffer, which nobody else touches from then on.
type stream struct {
	ctx context.Context
	f   *os.File
	buf []byte
}

// Read reads into p as much as one read of the file gives.
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

// Close closes the file, unless a read may still wait for it.
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
		kind := info.Mode().Type()
		if kind != 0 && kind != allowed {
			return &FormatError{Path: path, What: "not a regular file, but " + kindOf(kind)}
		}
		return nil
	}
	if err := check(os.Stat(path)); err != nil { // opening a pipe would wait for its other end
		return nil, nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err := check(info, err); err != nil { // another file may have taken the name since
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

// ReadFile returns the content of a regular file. It returns a FormatError if the file has
// more than most bytes.
func ReadFile(path string, most int64) ([]byte, error) {
	f, info, err := OpenRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info.Size() > most { // files of the system may state none, so reading is limited as well
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
