package pth

import (
	"archive/zip"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
)

// sample is a small tensor and its file.
func sample(t testing.TB) (*Tensor, []byte) {
	t.Helper()
	v := &Tensor{Shape: []int{2, 3, 4}, Data: make([]byte, 24)}
	for i := range v.Data {
		v.Data[i] = byte(3 * i)
	}
	content, err := Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	return v, content
}

func TestRoundTrip(t *testing.T) {
	want, content := sample(t)
	path := filepath.Join(t.TempDir(), "rank.pth")
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
	got, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Shape, want.Shape) || !bytes.Equal(got.Data, want.Data) {
		t.Errorf("got %v, want %v", got, want)
	}
	if _, again := sample(t); !bytes.Equal(content, again) {
		t.Error("the same tensor gives other bytes")
	}
}

// TestTorch reads what torch.save wrote: torch.arange(24, dtype=torch.uint8)
// .reshape(2, 3, 4), whole and from its second row on.
func TestTorch(t *testing.T) {
	for file, want := range map[string]Tensor{
		"whole.pth": {[]int{2, 3, 4}, []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23}},
		"view.pth":  {[]int{1, 3, 4}, []byte{12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23}},
	} {
		got, err := ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Errorf("%s: got %v, want no error", file, err)
			continue
		}
		if !slices.Equal(got.Shape, want.Shape) || !bytes.Equal(got.Data, want.Data) {
			t.Errorf("%s: got %v, want %v", file, got, want)
		}
	}
}

// archive makes a file of the given pickle and data.
func archive(t testing.TB, pickle, data string, method uint16) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for name, content := range map[string]string{"a/data.pkl": pickle, "a/data/0": data} {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestRefused: everything but a plain tensor of bytes is refused by name.
func TestRefused(t *testing.T) {
	v, whole := sample(t)
	good := string(program(v))
	with := func(old, new string) []byte {
		if !strings.Contains(good, old) {
			t.Fatalf("no %q in the pickle", old)
		}
		return archive(t, strings.Replace(good, old, new, 1), string(v.Data), zip.Store)
	}
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"empty":             {nil, "no zip archive"},
		"text":              {[]byte("hello"), "no zip archive"},
		"legacy":            {[]byte("\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."), "legacy format"},
		"cut off":           {whole[:len(whole)-30], "not a valid zip file"},
		"compressed":        {archive(t, good, string(v.Data), zip.Deflate), "compressed"},
		"no data":           {with("\x01\x00\x00\x000X", "\x01\x00\x00\x001X"), `no "a/data/1"`},
		"short data":        {archive(t, good, "abc", zip.Store), "has 3 bytes and should have 24"},
		"a command":         {with("ctorch._utils\n_rebuild_tensor_v2", "cposix\nsystem"), `"posix.system"`},
		"floats":            {with("ByteStorage", "FloatStorage"), `"torch.FloatStorage"`},
		"builtins":          {with("collections\nOrderedDict", "builtins\neval"), `"builtins.eval"`},
		"another protocol":  {with("\x80\x02", "\x80\x04"), "protocol 4"},
		"an object":         {with("RtR.", "RtRb."), "opcode 0x62"},
		"a list":            {archive(t, "\x80\x02].", "", zip.Store), "opcode 0x5d"},
		"a number":          {archive(t, "\x80\x02K\x01.", "", zip.Store), "other than one tensor"},
		"nothing":           {archive(t, "\x80\x02.", "", zip.Store), "other than one tensor"},
		"no end":            {archive(t, "\x80\x02", "", zip.Store), "without a result"},
		"empty stack":       {archive(t, "\x80\x02R.", "", zip.Store), "nothing on the stack"},
		"tuple of nothing":  {archive(t, "\x80\x02\x87.", "", zip.Store), "tuple of 3"},
		"no mark":           {archive(t, "\x80\x02t.", "", zip.Store), "without a beginning"},
		"unknown memo":      {archive(t, "\x80\x02h\x07.", "", zip.Store), "never filled"},
		"long text":         {archive(t, "\x80\x02X\xff\xff\xff\xff.", "", zip.Store), "unexpected EOF"},
		"larger than data":  {with("(J\x02\x00\x00\x00", "(J\x03\x00\x00\x00"), "in 24 bytes"},
		"negative":          {with("(J\x02\x00\x00\x00", "(J\xff\xff\xff\xff"), "of size"},
		"not contiguous":    {with("(J\x0c\x00\x00\x00", "(J\x01\x00\x00\x00"), "not contiguous"},
		"beyond the data":   {with("QJ\x00", "QJ\x01"), "from byte 1"},
		"before the data":   {with("QJ\x00\x00\x00\x00", "QJ\xff\xff\xff\xff"), "malformed"},
		"billion laughs":    {archive(t, laughs, "0123456789abcdef", zip.Store), "of size […]"},
		"a storage of text": {with("\x07\x00\x00\x00storage", "\x07\x00\x00\x00stoxage"), "not to bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse(c.content); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// laughs is a tensor whose size is a tuple of 2^60 leaves.
var laughs = "\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nByteStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x10tQK\x00" +
	"K\x01K\x01\x86q\x00" + strings.Repeat("h\x00\x86q\x00", 60) + "\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR."

func TestReadFileErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadFile(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	path := filepath.Join(dir, "bad.pth")
	if err := os.WriteFile(path, []byte("PK"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(path); !errors.As(err, new(*checkpoint.FormatError)) {
		t.Errorf("bad file: %v", err)
	}
}

// FuzzPth: any pickle gives a tensor whose size is that of its shape, or an
// error.
func FuzzPth(f *testing.F) {
	v, _ := sample(f)
	f.Add(program(v), v.Data)
	f.Add([]byte(laughs), []byte("0123456789abcdef"))
	for _, name := range []string{"whole.pth", "view.pth"} {
		content, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content, []byte(nil))
	}
	f.Fuzz(func(t *testing.T, pickle, data []byte) {
		for _, content := range [][]byte{pickle, archive(t, string(pickle), string(data), zip.Store)} {
			got, err := Parse(content)
			if err != nil {
				continue
			}
			size := 1
			for _, n := range got.Shape {
				size *= n
			}
			if size != len(got.Data) {
				t.Errorf("shape %v has %d bytes, want %d", got.Shape, len(got.Data), size)
			}
		}
	})
}
