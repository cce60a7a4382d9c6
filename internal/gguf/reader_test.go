package gguf

import (
	"bytes"
	"encoding/binary"
	"os"
	"strings"
	"testing"
)

// made puts a file together from its parts: numbers, strings as the format writes them, and
// bytes as they are.
func made(parts ...any) []byte {
	var b bytes.Buffer
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			binary.Write(&b, binary.LittleEndian, uint64(len(p)))
			b.WriteString(p)
		default:
			binary.Write(&b, binary.LittleEndian, p)
		}
	}
	return b.Bytes()
}

// start is how a file with so many tensors and keys begins.
func start(tensors, keys uint64) []byte {
	return made([]byte(Magic), uint32(3), tensors, keys)
}

// tensor is the entry of a tensor of one dimension.
func tensor(name string, n uint64, kind Type, at uint64) []byte {
	return made(name, uint32(1), n, uint32(kind), at)
}

// withData fills up to the alignment and adds so many bytes of data.
func withData(n int, parts ...any) []byte {
	b := made(parts...)
	return append(append(b, make([]byte, int(padded(int64(len(b)), 32))-len(b))...), make([]byte, n)...)
}

// TestRead: a sound file reads as what it holds.
func TestRead(t *testing.T) {
	text := withData(40, start(2, 3),
		"a.b", typeUint32, uint32(7), "c", typeArray, typeString, uint64(2), "x", "y", "d", typeFloat32, float32(1e-5),
		tensor("one", 8, F32, 0), tensor("two", 2, F32, 32))
	f, err := Read(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	if n, there, err := f.Metadata.Uint("a.b"); n != 7 || !there || err != nil {
		t.Errorf("a.b is %d, %v, %v", n, there, err)
	}
	if all, _, err := f.Metadata.Texts("c"); strings.Join(all, ",") != "x,y" || err != nil {
		t.Errorf("c is %q, %v", all, err)
	}
	if v, _, err := f.Metadata.Float("d"); v != 1e-5 || err != nil {
		t.Errorf("d is %v, %v", v, err)
	}
	if _, _, err := f.Metadata.Text("a.b"); err == nil {
		t.Error("a number reads as a text")
	}
	if len(f.Tensors) != 2 || f.Tensors[1].Raw().Size() != 8 || f.Tensors[1].at != int64(len(text)-8) {
		t.Errorf("tensors are %+v", f.Tensors)
	}
}

// TestRefusals: each flaw of a header is refused, with words that name it.
func TestRefusals(t *testing.T) {
	huge := uint64(1) << 62
	for _, c := range []struct {
		name, want string
		text       []byte
	}{
		{"empty", "incomplete", nil},
		{"magic", "no GGUF file", made([]byte("GGML"), uint32(3), uint64(0), uint64(0))},
		{"old version", "version 1", made([]byte(Magic), uint32(1), uint64(0), uint64(0))},
		{"big-endian", "big-endian", made([]byte(Magic), uint32(3<<24), uint64(0), uint64(0))},
		{"counts of tensors that allocate", "there is room for", start(huge, 0)},
		{"counts of keys that allocate", "there is room for", start(0, huge)},
		{"a string that allocates", "there is room for", made(start(0, 1), huge, make([]byte, 40))},
		{"an array that allocates", "there is room for", made(start(0, 1), "k", typeArray, typeUint64, huge, make([]byte, 40))},
		{"strings that allocate", "there is room for", made(start(0, 1), "k", typeArray, typeString, huge, make([]byte, 40))},
		{"nested arrays", "array of arrays", made(start(0, 1), "k", typeArray, typeArray, uint64(1), typeUint8, uint64(0))},
		{"unknown value", "unknown type", made(start(0, 1), "key", uint32(13), uint64(0))},
		{"unknown element", "unknown type", made(start(0, 1), "key", typeArray, uint32(13), uint64(0))},
		{"truth", "truth value", made(start(0, 1), "keyword", typeBool, byte(2), make([]byte, 9))},
		{"empty key", "empty key", made(start(0, 1), "", typeUint64, uint64(0))},
		{"key with an escape", "control character", made(start(0, 1), "a\x1b", typeUint64, uint64(0))},
		{"key that is not UTF-8", "UTF-8", made(start(0, 1), "a\xff", typeUint64, uint64(0))},
		{"key twice", "there twice", made(start(0, 2), "k", typeUint64, uint64(0), "k", typeUint64, uint64(0))},
		{"alignment of a wrong type", "uint32", made(start(0, 1), AlignmentKey, typeUint64, uint64(32))},
		{"alignment of zero", "power of two", made(start(0, 1), AlignmentKey, typeUint32, uint32(0))},
		{"alignment of 24", "power of two", made(start(0, 1), AlignmentKey, typeUint32, uint32(24))},
		{"huge alignment", "power of two", made(start(0, 1), AlignmentKey, typeUint32, uint32(1<<31))},
		{"long name", "at most 63", withData(32, start(1, 0), tensor(strings.Repeat("x", 64), 8, F32, 0))},
		{"tensor twice", "there twice", withData(64, start(2, 0), tensor("t", 8, F32, 0), tensor("t", 8, F32, 32))},
		{"no dimension", "0 dimensions", withData(32, start(1, 0), "tensor", uint32(0), uint32(0), uint64(0), uint64(0))},
		{"five dimensions", "5 dimensions", withData(32, start(1, 0), "t", uint32(5), make([]uint64, 5), uint32(0), uint64(0))},
		{"empty dimension", "dimension of 0", withData(32, start(1, 0), tensor("t", 0, F32, 0))},
		{"overflow", "overflow", withData(32, start(1, 0), "t", uint32(2), huge-1, huge-1, uint32(0), uint64(0))},
		{"unknown tensor type", "type 99", withData(32, start(1, 0), tensor("t", 8, 99, 0))},
		{"half a block", "whole blocks", withData(32, start(1, 0), tensor("t", 33, Q8_0, 0))},
		{"overlap", "invalid offset", withData(64, start(2, 0), tensor("s", 8, F32, 0), tensor("t", 8, F32, 0))},
		{"hole", "invalid offset", withData(96, start(2, 0), tensor("s", 8, F32, 0), tensor("t", 8, F32, 64))},
		{"odd offset", "invalid offset", withData(64, start(2, 0), tensor("s", 1, F32, 0), tensor("t", 8, F32, 4))},
		{"offset of 2^63", "invalid offset", withData(64, start(1, 0), tensor("s", 1, F32, 1<<63))},
		{"cut", "incomplete", withData(31, start(1, 0), tensor("t", 8, F32, 0))},
		{"trailing bytes", "trailing", withData(65, start(1, 0), tensor("t", 8, F32, 0))},
		{"cut in the header", "incomplete", withData(0, start(1, 0), tensor("tensor", 8, F32, 0))[:60]},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Read(bytes.NewReader(c.text), int64(len(c.text)))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want one with %q", err, c.want)
			}
		})
	}
}

// FuzzRead: whatever a file holds, reading it does not panic, allocates in proportion to its
// size, and every tensor that it promises can be read.
func FuzzRead(f *testing.F) {
	sound, err := os.ReadFile("testdata/blocks.gguf")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sound)
	f.Add(withData(40, start(2, 1), "k", typeArray, typeString, uint64(2), "x", "y", tensor("one", 8, F32, 0), tensor("two", 2, F32, 32)))
	f.Add(withData(64, start(1, 1), AlignmentKey, typeUint32, uint32(64), tensor("t", 8, F32, 0)))
	f.Add(start(1<<40, 1<<40))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Read(bytes.NewReader(text), int64(len(text)))
		if err != nil {
			return
		}
		for _, tensor := range file.Tensors {
			if !tensor.Type.Readable() {
				continue
			}
			size := tensor.Elements() * tensor.Type.FloatSize()
			if size > int64(256*len(text)) {
				t.Errorf("%q has %d bytes in a file of %d", tensor.Name, size, len(text))
			}
			if _, err := tensor.Floats().ReadAt(make([]byte, size), 0); err != nil {
				t.Error(err)
			}
		}
	})
}
