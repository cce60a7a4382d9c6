package llamacpp

import (
	"fmt"
	"io"
	"strings"

	"github.com/mha2mla/mha2mla/internal/gguf"
)

// blockwise is data that are made in blocks of one size, such as the rows of a head.
type blockwise struct {
	block, blocks int64                                 // size in bytes, and number
	make          func(n int64, dst, room []byte) error // fills dst with block n; room is as large
}

// ReadAt makes those blocks that the bytes from off on lie in.
func (b *blockwise) ReadAt(p []byte, off int64) (n int, err error) {
	whole, room := make([]byte, b.block), make([]byte, b.block)
	for n < len(p) && off < b.block*b.blocks {
		if err := b.make(off/b.block, whole, room); err != nil {
			return n, err
		}
		k := copy(p[n:], whole[off%b.block:])
		n, off = n+k, off+int64(k)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// readBlock reads block n of data into p, whose size is that of all blocks.
func readBlock(data io.ReaderAt, p []byte, n int64) error {
	k, err := data.ReadAt(p, n*int64(len(p)))
	if k == len(p) {
		return nil
	}
	return err
}

// halved presents queries or keys whose rows are ordered for pairs of neighbours in the order
// of Hugging Face: first the real parts of all pairs of a head, then the imaginary ones.
func (t *tensors) halved(name string, stored *gguf.Tensor, dim int64) Tensor {
	out := Tensor{Name: name, DType: dtype(stored), Shape: stored.Shape}
	rows := stored.Shape[0]
	if dim <= 0 || dim%2 != 0 || rows%dim != 0 {
		t.err = fmt.Errorf("tensor %q has %d rows, and heads have %d", stored.Name, rows, dim)
		return out
	}
	row := stored.Elements() / rows * stored.Type.FloatSize()
	data := stored.Floats()
	out.Data = &blockwise{row * dim, rows / dim, func(n int64, dst, room []byte) error {
		if err := readBlock(data, room, n); err != nil {
			return err
		}
		for i := range dim {
			from := i%(dim/2)*2 + i/(dim/2)
			copy(dst[i*row:(i+1)*row], room[from*row:])
		}
		return nil
	}}
	return out
}

// joined presents the two parts of a kv_b_proj, of which keys is the name of one, as the whole:
// for each head the rows of its content keys, then those of its values.
func (t *tensors) joined(keys string, c *config) Tensor {
	k, v := t.stored[keys], t.stored[strings.Replace(keys, inLayer[ContentKeys], inLayer[Values], 1)]
	name, _ := original(keys)
	out := Tensor{Name: strings.Replace(name, ContentKeys, both, 1)}
	if c.deepseekConfig == nil || v == nil {
		t.err = fmt.Errorf("tensor %q has no counterpart of values, or belongs to no %s", keys, c.Architectures[0])
		return out
	}
	rank, nope, values := c.KVLoraRank, c.NopeDim, c.ValueDim
	for _, part := range []struct {
		*gguf.Tensor
		rows, columns int64
	}{{k, rank, nope}, {v, values, rank}} {
		if s := part.Shape; len(s) != 3 || s[0] != c.Heads || s[1] != part.rows || s[2] != part.columns {
			t.err = fmt.Errorf("tensor %q has shape %v and the keys say %v", part.Name, s, []int64{c.Heads, part.rows, part.columns})
			return out
		}
	}
	out.DType, out.Shape = dtype(k), []int64{c.Heads * (nope + values), rank}
	size, keyData, valueData := k.Type.FloatSize(), k.Floats(), v.Floats()
	if dtype(k) != dtype(v) {
		out.DType, size, keyData, valueData = gguf.F32.String(), 4, k.Singles(), v.Singles()
	}
	split := rank * nope * size
	out.Data = &blockwise{rank * (nope + values) * size, c.Heads, func(n int64, dst, room []byte) error {
		if err := readBlock(keyData, room[:split], n); err != nil {
			return err
		}
		transpose(dst, room, rank, nope, size)
		return readBlock(valueData, dst[split:], n)
	}}
	return out
}

// transpose writes the transpose of a matrix of elements of so many bytes to dst.
func transpose(dst, src []byte, rows, columns, size int64) {
	for i := range rows {
		for j := range columns {
			copy(dst[(j*rows+i)*size:][:size], src[(i*columns+j)*size:][:size])
		}
	}
}

// mostExperts is more experts than any model has.
const mostExperts = 1 << 16

// experts presents the tensor that holds one projection of all experts as those of each.
func (t *tensors) experts(name string, stored *gguf.Tensor, c *config) (all []Tensor) {
	s := stored.Shape
	if c.deepseekConfig == nil || len(s) != 3 || s[0] != c.Experts || s[0] > mostExperts {
		t.err = fmt.Errorf("tensor %q has shape %v, and the keys say nothing of so many experts", stored.Name, s)
		return nil
	}
	size, data := s[1]*s[2]*stored.Type.FloatSize(), stored.Floats()
	for i := range s[0] {
		own := strings.Replace(name, Experts, fmt.Sprintf("%s%d.", Experts, i), 1)
		all = append(all, Tensor{own, dtype(stored), s[1:], io.NewSectionReader(data, i*size, size)})
	}
	return all
}
