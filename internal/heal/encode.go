package heal

import "encoding/binary"

// Encode returns the tensors of w in single precision, little-endian, one after the
// other. Nothing is lost of weights that were healed.
func (w *Weights) Encode() []byte {
	var content []byte
	for _, t := range newLayer[float32](w).tensors() {
		content, _ = binary.Append(content, binary.LittleEndian, t.Data) // numbers always can be
	}
	return content
}

// EncodedBytes is the size of what Encode returns.
func (w *Weights) EncodedBytes() int64 {
	n := int64(0)
	for _, t := range newLayer[float32](w).tensors() {
		n += 4 * int64(len(t.Data))
	}
	return n
}

// Decode returns weights in the form of w, whose tensors are what Encode has made
// content of.
func (w *Weights) Decode(content []byte) (*Weights, error) {
	l := newLayer[float32](w).twin()
	for _, t := range l.tensors() {
		n, err := binary.Decode(content, binary.LittleEndian, t.Data)
		if err != nil {
			return nil, err
		}
		content = content[n:]
	}
	return l.weights(w), nil
}
