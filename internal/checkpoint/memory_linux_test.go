package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
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
			peak, took := peakMemory(t, path)
			t.Logf("took %d MB, %v", peak/1e6, took)
			if peak > 500e6 || took > 20*time.Second { // of two processors or more
				t.Errorf("took %d MB, %v, want at most 500 MB and 20s", peak/1e6, took)
			}
		})
	}
	t.Run("too large", func(t *testing.T) {
		file := fileOf(`{}`, 0)
		binary.LittleEndian.PutUint64(file, maxHeader+8)
		if _, err := readHeader(bytes.NewReader(file), 2*maxHeader); err == nil || !strings.Contains(err.Error(), "too large") {
			t.Errorf("got %v, want an error that the header is too large", err)
		}
	})
}

// TestLargeHeaders reads headers of very many tensors, and of large parts: each is
// accepted or refused within seconds.
func TestLargeHeaders(t *testing.T) {
	const many = 100_000
	entries := func(n int, entry func(i int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(entry(i))
		}
		return "{" + strings.TrimSuffix(b.String(), ",") + "}"
	}
	for name, c := range map[string]struct {
		header string
		data   int
		want   string
	}{
		"20 000 on one range": {entries(20_000, func(i int) string {
			return fmt.Sprintf(`"t%d":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},`, i)
		}), 4, "invalid offset"},
		"20 000 empty ones on one byte": {entries(20_000, func(i int) string {
			return fmt.Sprintf(`"t%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},`, i)
		}), 0, ""},
		"many backwards": {entries(many, func(i int) string {
			return fmt.Sprintf(`"t%d":{"dtype":"U8","shape":[1],"data_offsets":[%d,%d]},`, i, many-1-i, many-i)
		}), many, ""},
		"many and one of them twice": {entries(many, func(i int) string {
			return fmt.Sprintf(`"t%d":{"dtype":"U8","shape":[1],"data_offsets":[%d,%d]},`, i%(many-1), i, i+1)
		}), many, "duplicate"},
		"nested objects":     {`{"t":` + strings.Repeat(`{"a":`, 100_000), 0, "nested deeper"},
		"nested arrays":      {`{"t":{"shape":` + strings.Repeat(`[`, 100_000), 0, "non-negative integer"},
		"nested and skipped": {`{"t":{"x":` + strings.Repeat(`[`, 100_000), 0, "nested deeper"},
		"a number of 1 MB":   {`{"t":{"dtype":"U8","shape":[` + strings.Repeat(`9`, 1_000_000) + `]}}`, 0, "non-negative integer"},
		"a shape of 100 000": {`{"t":{"dtype":"U8","shape":[` + strings.Repeat(`1,`, 100_000) + `1],"data_offsets":[0,1]}}`, 1, ""},
		"a huge product":     {`{"t":{"dtype":"U8","shape":[` + strings.Repeat(`9223372036854775807,`, 1000) + `0],"data_offsets":[0,0]}}`, 0, "overflow"},
		"a name of 1 MB":     {`{"` + strings.Repeat(`n`, 1_000_000) + `":{"dtype":"U8","shape":[1],"data_offsets":[0,2]}}`, 1, "invalid offsets"},
	} {
		file := fileOf(c.header, c.data)
		start := processorTime(t)
		_, err := readHeader(bytes.NewReader(file), int64(len(file)))
		if took := processorTime(t) - start; took > 10*time.Second {
			t.Errorf("%s: took %v, want at most 10s", name, took)
		}
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %.300v", name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %.300v, want %q", name, err, c.want)
		}
	}
}

// processorTime is the processor time that the process took: the clock of a busy
// machine says little.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// TestLargeIndex reads indexes of a million tensors, in one shard and in a million.
func TestLargeIndex(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 90 MB")
	}
	for name, inEach := range map[string]int{"in one shard": 1_000_000, "in a million": 1} {
		var b strings.Builder
		b.WriteString(`{"weight_map":{"first":"x.safetensors"`)
		for i := range 1_000_000 {
			fmt.Fprintf(&b, `,"model.layers.%d.mlp.weight":"model-%07d.safetensors"`, i, i/inEach)
		}
		b.WriteString("}}")
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, IndexFile), []byte(b.String()), 0o666); err != nil {
			t.Fatal(err)
		}
		b.Reset()
		peak, took := peakMemory(t, dir)
		t.Logf("%s: took %d MB, %v", name, peak/1e6, took)
		if peak > 500e6 || took > 20*time.Second {
			t.Errorf("%s: took %d MB, %v, want at most 500 MB and 20s", name, peak/1e6, took)
		}
	}
}

// openOnly names the file that TestOpenOnly opens.
const openOnly = "MHA2MLA_TEST_OPEN"

// TestOpenOnly is what peakMemory runs in a process of its own. It prints what the
// system says of the process.
func TestOpenOnly(t *testing.T) {
	path := os.Getenv(openOnly)
	if path == "" {
		t.Skip("part of other tests")
	}
	s, err := Open(path)
	switch {
	case err == nil:
		s.Close()
	case !errors.As(err, new(*FormatError)):
		t.Fatal(err)
	default:
		t.Log(err)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout.Write(status)
}

// peakMemory returns the peak memory, in bytes, of a process that opens a file, and
// the processor time it takes.
func peakMemory(t *testing.T, path string) (int64, time.Duration) {
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
	return 1024 * kilobytes, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}
