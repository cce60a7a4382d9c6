package tokens

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

// npy makes a NumPy file of the version with the header and the data, a list of
// fixed-size integers.
func npy(major byte, header string, data any) []byte {
	var b bytes.Buffer
	b.WriteString(npyMagic)
	b.Write([]byte{major, 0})
	var length any = uint32(len(header))
	if major == 1 {
		length = uint16(len(header))
	}
	for _, v := range []any{length, []byte(header), data} {
		if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

const (
	vector = "{'descr': '<u2', 'fortran_order': False, 'shape': (3,), }   \n"
	matrix = "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 2), }\n"
)

func TestParseNpy(t *testing.T) {
	three := []uint16{1, 2, 3}
	header := func(from, to string) []byte { return npy(1, strings.Replace(vector, from, to, 1), three) }
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"vector":          {npy(1, vector, three), "[[1 2 3]]"},
		"version 2":       {npy(2, vector, three), "[[1 2 3]]"},
		"version 3":       {npy(3, vector, three), "[[1 2 3]]"},
		"matrix":          {npy(1, matrix, []int32{1, 2, 3, 4}), "[[1 2] [3 4]]"},
		"u4":              {npy(1, strings.Replace(vector, "<u2", "<u4", 1), []uint32{1, 2, 3}), "[[1 2 3]]"},
		"u8":              {npy(1, strings.Replace(vector, "<u2", "<u8", 1), []uint64{1, 2, 3}), "[[1 2 3]]"},
		"i2":              {npy(1, strings.Replace(vector, "<u2", "<i2", 1), []int16{1, 2, 3}), "[[1 2 3]]"},
		"i8":              {npy(1, strings.Replace(vector, "<u2", "<i8", 1), []int64{1, 2, 3}), "[[1 2 3]]"},
		"no last comma":   {header("(3,), }", "(3,)}"), "[[1 2 3]]"},
		"double quotes":   {header("'descr'", `"descr"`), "[[1 2 3]]"},
		"other order":     {npy(1, "{'shape': (3,), 'descr': '<u2', 'fortran_order': False}", three), "[[1 2 3]]"},
		"empty":           {npy(1, strings.Replace(vector, "3", "0", 1), []uint16{}), "no token ids"},
		"no columns":      {npy(1, strings.Replace(matrix, "(2, 2)", "(2, 0)", 1), []int32{}), "no token ids"},
		"too large an id": {npy(1, vector, []uint16{1, 2, 10}), "token id 10, and the vocabulary has 10, at index 2"},
		"negative id":     {npy(1, matrix, []int32{1, -2, 3, 4}), "token id -2, and the vocabulary has 10, at index 1"},
		"huge id":         {npy(1, strings.Replace(vector, "<u2", "<u8", 1), []uint64{1 << 63, 2, 3}), "vocabulary"},
		"too little":      {npy(1, vector, three[:2]), "2 ids, and the shape has 3"},
		"cut":             {npy(1, vector, []byte{1, 0, 2}), "1 ids, and the shape has 3"},
		"too much":        {npy(1, vector, []uint16{1, 2, 3, 4}), "more data than the shape's 3 ids"},
		"one byte more":   {npy(1, vector, []byte{1, 0, 2, 0, 3, 0, 4}), "more data than the shape's 3 ids"},
		"big-endian":      {header("<u2", ">u2"), `big-endian data (">u2")`},
		"floats":          {header("<u2", "<f4"), `data of type "<f4"`},
		"bytes":           {header("<u2", "|u1"), `data of type "|u1"`},
		"objects":         {header("<u2", "|O"), `data of type "|O"`},
		"fields":          {header("'<u2'", "[('a', '<u2')]"), "named fields"},
		"Fortran order":   {header("False", "True"), "Fortran order"},
		"scalar":          {header("(3,)", "()"), "0 dimensions"},
		"cube":            {header("(3,)", "(1, 1, 3)"), "3 dimensions"},
		"too large":       {header("(3,)", "(9223372036854775807, 9223372036854775807)"), "too large"},
		"no tuple":        {header("(3,)", "(3)"), `where "," belongs`},
		"negative size":   {header("(3,)", "(-3,)"), "where a size belongs"},
		"long size":       {header("(3,)", "(3L,)"), "belongs"},
		"twice":           {header("'shape'", "'descr': '<u2', 'shape'"), `"descr" twice`},
		"unknown name":    {header("'shape'", "'a': '<u2', 'shape'"), `unknown name "a"`},
		"lacking":         {header("'fortran_order': False, ", ""), "lacks"},
		"trailing":        {header("}", "} x"), "follows the NumPy header's dictionary"},
		"no bool":         {header("False", "0"), `where "False" belongs`},
		"no dictionary":   {header("{", "["), `where "{" belongs`},
		"unclosed":        {header("'descr'", "'descr"), "belongs"},
		"version 4":       {npy(4, vector, three), "NumPy format 4.0"},
		"header too long": {append([]byte(npyMagic), 2, 0, 0xff, 0xff, 0xff, 0xff), "header of 4294967295 bytes"},
		"header cut":      {npy(1, vector, three)[:20], "cut short"},
		"start cut":       {[]byte(npyMagic), "cut short"},
		"no NumPy":        {[]byte("[1, 2, 3, 4]"), "not a NumPy file"},
		"nothing":         {nil, "cut short"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseNpy(bytes.NewReader(c.file), &ids{vocab: 10})
			if err != nil {
				if !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, want %q", err, c.want)
				}
			} else if fmt.Sprint(got) != c.want {
				t.Errorf("%v, want %s", got, c.want)
			}
		})
	}
}

// FuzzNpy feeds arbitrary bytes to the NumPy reader: what it accepts are ids of
// the vocabulary in rows of one length, no more than the bytes could hold.
func FuzzNpy(f *testing.F) {
	f.Add(npy(1, vector, []uint16{1, 2, 3}))
	f.Add(npy(2, matrix, []int32{1, 2, 3, 4}))
	f.Add(npy(3, strings.Replace(matrix, "<i4", "<u8", 1), []uint64{1, 2, 3, 4}))
	f.Fuzz(func(t *testing.T, file []byte) {
		sequences, err := parseNpy(bytes.NewReader(file), &ids{vocab: 100})
		if err != nil {
			return
		}
		if len(sequences)*len(sequences[0])*2 > len(file) {
			t.Fatalf("%d ids out of %d bytes", len(sequences)*len(sequences[0]), len(file))
		}
		for _, s := range sequences {
			for _, id := range s {
				if len(s) != len(sequences[0]) || id < 0 || id >= 100 {
					t.Fatalf("accepted %v", sequences)
				}
			}
		}
	})
}
