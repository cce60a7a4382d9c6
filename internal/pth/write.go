package pth

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// Encode returns a file that torch.load reads as t, in the form of torch.save. The bytes are
// the same every time.
func Encode(t *Tensor) ([]byte, error) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, file := range []struct {
		name    string
		content []byte
	}{
		{"data.pkl", program(t)}, {"byteorder", []byte("little")}, {"data/0", t.Data}, {"version", []byte("3\n")},
	} {
		size := uint64(len(file.content))
		f, err := w.CreateRaw(&zip.FileHeader{ // raw, because the readers of torch want the sizes in front
			Name: "archive/" + file.name, Method: zip.Store, CRC32: crc32.ChecksumIEEE(file.content),
			CompressedSize64: size, UncompressedSize64: size,
		})
		if err != nil {
			return nil, err
		}
		if _, err := f.Write(file.content); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return out.Bytes(), err
}

// program returns the pickle of t.
func program(t *Tensor) []byte {
	p := []byte{opProto, 2}
	name := func(g global) {
		p = append(p, opGlobal)
		p = append(p, bytes.Replace([]byte(g), []byte(" "), []byte("\n"), 1)...)
		p = append(p, '\n')
	}
	text := func(s string) {
		p = binary.LittleEndian.AppendUint32(append(p, opBinUnicode), uint32(len(s)))
		p = append(p, s...)
	}
	integer := func(n int) { p = binary.LittleEndian.AppendUint32(append(p, opBinInt), uint32(n)) }
	name(rebuild)
	p = append(p, opMark, opMark)
	text("storage")
	name(byteStorage)
	text("0")
	text("cpu")
	integer(len(t.Data))
	p = append(p, opTuple, opBinPersID)
	integer(0) // offset
	p = append(p, opMark)
	for _, n := range t.Shape {
		integer(n)
	}
	p = append(p, opTuple, opMark)
	stride := len(t.Data)
	for _, n := range t.Shape {
		stride /= n
		integer(stride)
	}
	p = append(p, opTuple, opNewFalse)
	name(orderedDict)
	return append(p, opEmptyTuple, opReduce, opTuple, opReduce, opStop)
}
