package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nlpodyssey/safetensors"
)

// TestCatalogue runs every file of the corpus against its verdict.
func TestCatalogue(t *testing.T) {
	const dir = "testdata/headers"
	list, err := os.ReadFile(filepath.Join(dir, "catalogue.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(list)), "\n")[1:]
	if len(lines) < 70 {
		t.Fatalf("only %d cases", len(lines))
	}
	for _, line := range lines {
		fields := strings.Split(line, "\t")
		t.Run(fields[0], func(t *testing.T) {
			s, err := Open(filepath.Join(dir, fields[0]+".safetensors"))
			if err == nil {
				defer s.Close()
			}
			if accepted := err == nil; accepted != (fields[1] == "accept") {
				t.Errorf("error %v, want %s (%s)", err, fields[1], fields[2])
			}
			var format *FormatError
			if err != nil && !errors.As(err, &format) {
				t.Errorf("%T, want a FormatError", err)
			}
			if err != nil && strings.ContainsAny(err.Error(), "\n\x00\x1b") {
				t.Errorf("%q would garble a terminal", err)
			}
		})
	}
}

// file builds a safetensors file of a header and so many bytes of data.
func fileOf(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

func TestHeaderDetails(t *testing.T) {
	const entry = `"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`
	for name, c := range map[string]struct {
		file []byte
		want string // part of the error; empty: accepted
	}{
		"plain":                        {fileOf(`{`+entry+`}`, 8), ""},
		"leading white space":          {fileOf(" \n{"+entry+`}`, 8), ""},
		"unknown fields":               {fileOf(`{"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"extra":[{"a":1}]}}`, 8), ""},
		"metadata at the end":          {fileOf(`{`+entry+`,"__metadata__":{"a":"b"}}`, 8), ""},
		"metadata twice":               {fileOf(`{"__metadata__":{},`+entry+`,"__metadata__":{}}`, 8), "duplicate name"},
		"duplicate far apart":          {fileOf(`{`+entry+`,"u":{"dtype":"F32","shape":[2],"data_offsets":[8,16]},`+entry+`}`, 16), "duplicate name"},
		"lone surrogate":               {fileOf(`{"t\ud800":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8), "invalid"},
		"delete character":             {fileOf("{\"t\x7f\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8), "control character"},
		"second control range":         {fileOf(`{"t\u0085":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8), "control character"},
		"pytorch archive":              {append([]byte("PK\x03\x04"), make([]byte, 60)...), "PyTorch"},
		"html":                         {[]byte("<html><body>502 Bad Gateway</body></html>"), "HTML"},
		"lfs":                          {[]byte("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"), "LFS"},
		"data one byte short":          {fileOf(`{`+entry+`}`, 7), "incomplete"},
		"data one byte long":           {fileOf(`{`+entry+`}`, 9), "trailing"},
		"six-bit elements that fit":    {fileOf(`{"t":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[0,3]}}`, 3), ""},
		"six-bit elements that do not": {fileOf(`{"t":{"dtype":"F6_E2M3","shape":[5],"data_offsets":[0,4]}}`, 4), "byte boundary"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readHeader(bytes.NewReader(c.file), int64(len(c.file)))
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

// FuzzHeader feeds arbitrary files to the header reader. What it accepts, the
// independent reader must accept too, with the same byte ranges, as far as it
// knows the types.
func FuzzHeader(f *testing.F) {
	paths, _ := filepath.Glob("testdata/headers/*.safetensors")
	for _, path := range paths {
		if b, err := os.ReadFile(path); err == nil && len(b) < 1<<12 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		h, err := readHeader(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			return
		}
		for _, t := range h.tensors {
			if _, err := safetensors.ParseDType(string(t.DType)); err != nil {
				return
			}
		}
		if h.metadata == nil && bytes.Contains(file, []byte("__metadata__")) || bytes.Contains(file, []byte(`\u`)) {
			return // null and escaped keys: known differences
		}
		other, err := safetensors.Deserialize(file)
		if err != nil {
			if strings.Contains(err.Error(), "expected 3 keys") {
				return // unknown fields, which the reference accepts
			}
			t.Fatalf("accepted a file that another reader refuses: %v", err)
		}
		for _, a := range h.tensors {
			b, ok := other.Tensor(a.Name)
			if !ok || int64(len(b.Data())) != a.Bytes() {
				t.Fatalf("tensor %q reads differently", a.Name)
			}
		}
	})
}
