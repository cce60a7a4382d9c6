package distill

import (
	"encoding/binary"
	"errors"
	"math"
	"os"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/forward"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// rounded holds the source's residual streams between its layers, as BF16. What a layer has lost
// is many times what the rounding is, and there are as many streams as layers.
type rounded struct {
	width  int
	offset []int64 // of each window within a layer, in bytes, and of its end
	held   []byte  // the streams of all layers, if they are in memory
	file   *os.File
}

// newRounded makes room for the streams of windows, [tokens × width] each, behind that many
// layers. If they take more than forward.InMemory it creates a file of the name that temp
// returns, which close removes.
func newRounded(windows tokens.Windows, width, layers int, temp func() string) (*rounded, error) {
	r := &rounded{width: width, offset: []int64{0}}
	size := int64(0)
	for _, w := range windows {
		size += 2 * int64(len(w)) * int64(width)
		r.offset = append(r.offset, size)
	}
	if size*int64(layers) <= forward.InMemory {
		r.held = make([]byte, size*int64(layers))
		return r, nil
	}
	var err error
	r.file, err = os.OpenFile(temp(), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	return r, err
}

// close removes the file, if there is one.
func (r *rounded) close() error {
	if r.file == nil {
		return nil
	}
	return errors.Join(r.file.Close(), os.Remove(r.file.Name()))
}

// place returns where the stream of a window behind a layer is, and its length in bytes.
func (r *rounded) place(layer, window int) (at, length int64) {
	return int64(layer)*r.offset[len(r.offset)-1] + r.offset[window], r.offset[window+1] - r.offset[window]
}

// put keeps the stream of a window behind a layer. It rounds to the nearest number, and to the
// even one of two.
func (r *rounded) put(layer, window int, x f32.Matrix) error {
	at, length := r.place(layer, window)
	b := make([]byte, 0, length)
	for _, v := range x.Data {
		bits := math.Float32bits(v)
		b = binary.LittleEndian.AppendUint16(b, uint16((bits+0x7fff+bits>>16&1)>>16))
	}
	if r.file == nil {
		copy(r.held[at:], b)
		return nil
	}
	_, err := r.file.WriteAt(b, at)
	return err
}

// get returns the stream of a window behind a layer.
func (r *rounded) get(layer, window int) (f32.Matrix, error) {
	at, length := r.place(layer, window)
	x := f32.New(int(length)/(2*r.width), r.width)
	var b []byte
	if r.file == nil {
		b = r.held[at : at+length]
	} else {
		b = make([]byte, length)
		if _, err := r.file.ReadAt(b, at); err != nil {
			return f32.Matrix{}, err
		}
	}
	for i := range x.Data {
		x.Data[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(b[2*i:])) << 16)
	}
	return x, nil
}
