package latent

import (
	"encoding/binary"

	"github.com/mha2mla/mha2mla/internal/f32"
)

// Encode returns the tensors of w in single precision, little-endian, one after the
// other. Weights that were healed lose nothing by it, because they were computed in single
// precision.
func (w *Weights) Encode() []byte { return encode(New[float32](w)) }

// EncodedBytes returns the number of bytes that Encode returns.
func (w *Weights) EncodedBytes() int64 { return encodedBytes(New[float32](w)) }

// Decode returns weights in the form of w, with the tensors that Encode has written to
// content. It is an error if content is too short.
func (w *Weights) Decode(content []byte) (*Weights, error) {
	l := New[float32](w).Twin()
	if err := decode(content, l); err != nil {
		return nil, err
	}
	return l.Weights(w), nil
}

// Encode returns the tensors that the optimiser has changed and its moments of them, in the
// order and the form of Weights.Encode.
func (a *Adam[T]) Encode() []byte { return encode(a.layer, a.first, a.second) }

// EncodedBytes returns the number of bytes that Encode returns.
func (a *Adam[T]) EncodedBytes() int64 { return encodedBytes(a.layer, a.first, a.second) }

// Decode sets the layer and the moments to what Encode has written to content after that many
// steps. It is an error if content is too short, after which they are undefined.
func (a *Adam[T]) Decode(content []byte, steps int) error {
	a.steps = steps
	return decode(content, a.layer, a.first, a.second)
}

// encode returns the tensors of layers.
func encode[T f32.Real](layers ...*Layer[T]) []byte {
	content := make([]byte, 0, encodedBytes(layers...))
	for _, l := range layers {
		for _, t := range l.Tensors() {
			content, _ = binary.Append(content, binary.LittleEndian, t.Data) // numbers always can be encoded
		}
	}
	return content
}

// encodedBytes is the length of what encode returns.
func encodedBytes[T f32.Real](layers ...*Layer[T]) int64 {
	n := 0
	for _, l := range layers {
		for _, t := range l.Tensors() {
			n += binary.Size(t.Data)
		}
	}
	return int64(n)
}

// decode sets the tensors of layers to what encode has written to content.
func decode[T f32.Real](content []byte, layers ...*Layer[T]) error {
	for _, l := range layers {
		for _, t := range l.Tensors() {
			n, err := binary.Decode(content, binary.LittleEndian, t.Data)
			if err != nil {
				return err
			}
			content = content[n:]
		}
	}
	return nil
}
