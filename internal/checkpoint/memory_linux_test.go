package checkpoint

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestLargestHeader reads headers of exactly the greatest length and one word
// more, filled in the ways that cost most.
func TestLargestHeader(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 100 MB")
	}
	fill := map[string]func(*strings.Builder, int){
		"white space": func(b *strings.Builder, n int) { b.WriteString(strings.Repeat(" ", n)) },
		"one string": func(b *strings.Builder, n int) {
			b.WriteString(`,"__metadata__":{"k":"` + strings.Repeat("x", n-len(`,"__metadata__":{"k":""}`)) + `"}`)
		},
		"tensors": func(b *strings.Builder, n int) {
			for i := 0; ; i++ {
				entry := fmt.Sprintf(`,"model.layers.%d.mlp.experts.weight":{"dtype":"U8","shape":[0,1],"data_offsets":[4,4]}`, i)
				if n < len(entry) {
					break
				}
				b.WriteString(entry)
				n -= len(entry)
			}
			b.WriteString(strings.Repeat(" ", n))
		},
	}
	for name, more := range fill {
		t.Run(name, func(t *testing.T) {
			const first = `{"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}`
			var b strings.Builder
			b.WriteString(first)
			more(&b, maxHeader-len(first)-1)
			b.WriteString("}")
			path := filepath.Join(t.TempDir(), "large.safetensors")
			if err := os.WriteFile(path, fileOf(b.String(), 4), 0o666); err != nil {
				t.Fatal(err)
			}
			b.Reset()
			if peak := peakMemory(t, path); peak > 500e6 {
				t.Errorf("took %d MB", peak/1e6)
			} else {
				t.Logf("took %d MB", peak/1e6)
			}
		})
	}
	t.Run("too large", func(t *testing.T) {
		file := fileOf(`{}`, 0)
		binary.LittleEndian.PutUint64(file, maxHeader+8)
		if _, err := readHeader(bytes.NewReader(file), 2*maxHeader); err == nil || !strings.Contains(err.Error(), "too large") {
			t.Errorf("got %v", err)
		}
	})
}

// openOnly names the file that TestOpenOnly opens.
const openOnly = "MHA2MLA_TEST_OPEN"

// TestOpenOnly is what peakMemory runs in a process of its own. It prints what the
// system says of the process.
func TestOpenOnly(t *testing.T) {
	path := os.Getenv(openOnly)
	if path == "" {
		t.Skip("part of TestLargestHeader")
	}
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout.Write(status)
}

// peakMemory returns the peak memory, in bytes, of a process that opens a file.
func peakMemory(t *testing.T, path string) int64 {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestOpenOnly$")
	cmd.Env = append(os.Environ(), openOnly+"="+path)
	text, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	_, after, _ := strings.Cut(string(text), "VmHWM:")
	var kilobytes int64
	if _, err := fmt.Sscan(after, &kilobytes); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return 1024 * kilobytes
}
