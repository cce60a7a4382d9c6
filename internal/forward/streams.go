package forward

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// InMemory is how many bytes of residual streams are held in memory. Larger ones are kept in
// a file.
const InMemory = 256 << 20

// Streams holds the residual streams of windows of tokens between layers.
type Streams struct {
	width  int
	offset []int64      // of each window in the file, in bytes, and of its end
	held   []f32.Matrix // the streams, if they are in memory
	file   *os.File     // else nil
}

// NewStreams makes room for the residual streams, [tokens × width] each, of the given
// windows. If they take more than InMemory it creates a file of the name that temp returns,
// which Close removes. It is an error if that fails.
func NewStreams(windows tokens.Windows, width int, temp func() string) (*Streams, error) {
	return newStreams(windows, width, InMemory, temp)
}

// newStreams is NewStreams with at most inMemory bytes in memory.
func newStreams(windows tokens.Windows, width int, inMemory int64, temp func() string) (*Streams, error) {
	s := &Streams{width: width}
	size := int64(0)
	for _, w := range windows {
		s.offset = append(s.offset, size)
		size += 4 * int64(len(w)) * int64(width)
	}
	s.offset = append(s.offset, size)
	if size <= inMemory {
		s.held = make([]f32.Matrix, len(windows))
		return s, nil
	}
	var err error
	s.file, err = os.OpenFile(temp(), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	return s, err
}

// Embed sets the streams of windows of tokens to their embeddings.
func (s *Streams) Embed(d Decoder, windows tokens.Windows) error {
	for i, tokens := range windows {
		x, err := d.Embed(tokens)
		if err == nil {
			err = s.Put(i, x)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Close removes the file, if there is one. A second call does nothing.
func (s *Streams) Close() error {
	f := s.file
	if f == nil {
		return nil
	}
	s.file = nil
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// Put keeps the stream of window i.
func (s *Streams) Put(i int, x f32.Matrix) error {
	if s.file == nil {
		s.held[i] = x
		return nil
	}
	var b bytes.Buffer
	b.Grow(4 * len(x.Data))
	if err := binary.Write(&b, binary.LittleEndian, x.Data); err != nil {
		return err
	}
	_, err := s.file.WriteAt(b.Bytes(), s.offset[i])
	return err
}

// Get returns the stream of window i, for the caller to change and put back.
func (s *Streams) Get(i int) (f32.Matrix, error) {
	if s.file == nil {
		return s.held[i], nil
	}
	b := make([]byte, s.offset[i+1]-s.offset[i])
	if _, err := s.file.ReadAt(b, s.offset[i]); err != nil {
		return f32.Matrix{}, err
	}
	x := f32.New(len(b)/(4*s.width), s.width)
	return x, binary.Read(bytes.NewReader(b), binary.LittleEndian, x.Data)
}
