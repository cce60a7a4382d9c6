package llamacpp

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/mha2mla/mha2mla/internal/gguf"
)

// FuzzRead: whatever a GGUF file says of a model, reading it neither panics nor promises what
// cannot be read.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"llama.f16", "qwen2.f16", "qwen3.f16", "deepseek_v3.q8_0", "experts.q8_0"} {
		text, err := os.ReadFile("testdata/" + name + ".gguf")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := gguf.Read(bytes.NewReader(text), int64(len(text)))
		if err != nil {
			return
		}
		m, err := Read([]*gguf.File{file})
		if err != nil {
			return
		}
		for _, name := range m.Files() {
			m.File(name) //nolint:errcheck // it may fail, and must not panic
		}
		for _, tensor := range m.Tensors {
			size := map[string]int64{"F32": 4, "F16": 2, "BF16": 2}[tensor.DType]
			for _, n := range tensor.Shape {
				size *= n
			}
			all := make([]byte, size)
			if n, err := tensor.Data.ReadAt(all, 0); int64(n) != size || err != nil && !errors.Is(err, io.EOF) {
				t.Errorf("%q gives %d bytes of %d, and %v", tensor.Name, n, size, err)
			}
		}
	})
}
