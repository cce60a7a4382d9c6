package latent

import "encoding/binary"

// Encode returns the tensors of w in single precision, little-endian, one after the
// other. Weights that were healed lose nothing by it, because they were computed in single
// precision.
func (w *Weights) Encode() []byte {
	var content []byte
	for _, t := range New[float32](w).Tensors() {
		content, _ = binary.Append(content, binary.LittleEndian, t.Data) // numbers always can be encoded
	}
	return content
}

// EncodedBytes returns the number of bytes that Encode returns.
func (w *Weights) EncodedBytes() int64 {
	n := int64(0)
	for _, t := range New[float32](w).Tensors() {
		n += 4 * int64(len(t.Data))
	}
	return n
}

// Decode returns weights in the form of w, with the tensors that Encode has written to
// content. It is an error if content is too short.
func (w *Weights) Decode(content []byte) (*Weights, error) {
	l := New[float32](w).Twin()
	for _, t := range l.Tensors() {
		n, err := binary.Decode(content, binary.LittleEndian, t.Data)
		if err != nil {
			return nil, err
		}
		content = content[n:]
	}
	return l.Weights(w), nil
}
