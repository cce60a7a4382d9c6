package latent

import (
	"encoding/binary"

	"github.com/mha2mla/mha2mla/internal/f32"
)

// Encode returns the tensors of w in single precision, little-endian, one after the
// other. Weights that were healed lose nothing by it, because they were computed in single
// precision.
func (w *Weights) Encode() []byte { return encode(matrices(New[float32](w))) }

// EncodedBytes returns the number of bytes that Encode returns.
func (w *Weights) EncodedBytes() int64 { return encodedBytes(matrices(New[float32](w))) }

// Decode returns weights in the form of w, with the tensors that Encode has written to
// content. It is an error if content is too short.
func (w *Weights) Decode(content []byte) (*Weights, error) {
	l := New[float32](w).Twin()
	if err := decode(content, matrices(l)); err != nil {
		return nil, err
	}
	return l.Weights(w), nil
}

// Encode returns the tensors that the optimiser has changed, its moments of them, and the bases
// with theirs, in the form of Weights.Encode.
func (s *Soap[T]) Encode() []byte { return encode(s.state()) }

// EncodedBytes returns the number of bytes that Encode returns.
func (s *Soap[T]) EncodedBytes() int64 { return encodedBytes(s.state()) }

// Decode sets the layer, the moments and the bases to what Encode has written to content after
// that many steps. It is an error if content is too short, after which they are undefined.
func (s *Soap[T]) Decode(content []byte, steps int) error {
	s.steps = steps
	return decode(content, s.state())
}

// state lists what the optimiser has to go on from.
func (s *Soap[T]) state() []f32.General[T] {
	all := matrices(s.layer)
	for _, d := range s.tensors {
		all = append(all, d.first, d.second)
		for _, b := range d.bases() {
			all = append(all, b.moment, b.vectors)
		}
	}
	return all
}

// matrices lists the tensors of a layer.
func matrices[T f32.Real](l *Layer[T]) (all []f32.General[T]) {
	for _, t := range l.Tensors() {
		all = append(all, t.General)
	}
	return all
}

// encode returns the numbers of matrices.
func encode[T f32.Real](all []f32.General[T]) []byte {
	content := make([]byte, 0, encodedBytes(all))
	for _, m := range all {
		content, _ = binary.Append(content, binary.LittleEndian, m.Data) // numbers always can be encoded
	}
	return content
}

// encodedBytes is the length of what encode returns.
func encodedBytes[T f32.Real](all []f32.General[T]) int64 {
	n := 0
	for _, m := range all {
		n += binary.Size(m.Data)
	}
	return int64(n)
}

// decode sets matrices to what encode has written to content.
func decode[T f32.Real](content []byte, all []f32.General[T]) error {
	for _, m := range all {
		n, err := binary.Decode(content, binary.LittleEndian, m.Data)
		if err != nil {
			return err
		}
		content = content[n:]
	}
	return nil
}
