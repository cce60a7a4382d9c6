package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/mha2mla/mha2mla/internal/gguf"
)

// readElsewhere lists the keys that llama.cpp's converter reads from something else than this
// program: a name from that of the folder, and how a text is cut up from a digest of what the
// tokenizer makes of one text, where this program goes by the steps in tokenizer.json.
var readElsewhere = []string{"general.name", "tokenizer.ggml.pre"}

// sameSizes are those of the conversions here, which are by the weights alone.
var sameSizes = []string{"convert", "--force", "--calibrate", "none", "--kv-lora-rank", "128", "--rope-dims", "64", "--rope-theta", "10000", "--dtype", "f32"}

// tryGGUF tries the GGUF files that the program writes itself, and returns how many lines have
// failed.
func (b *bench) tryGGUF(e engine) (failed int) {
	if !b.asConverted(e) {
		failed++
	}
	if b.packed != "" && !b.fromGGUF(e) {
		failed++
	}
	return failed
}

// packedName is what the conversion of a GGUF file to another is called.
const packedName = "GGUF to GGUF"

// fromGGUF converts a GGUF file to another, and prints the line about that.
func (b *bench) fromGGUF(e engine) bool {
	m := &measured{dir: b.path("packed.gguf")}
	_, err := b.command(nil, b.program, slices.Concat(sameSizes, []string{b.packed, m.dir})...)
	if err == nil {
		err = b.verify(m, b.packed)
	}
	if err != nil {
		fmt.Printf("%-24s %-24s %v\n", e.name, packedName, err)
		return false
	}
	return b.line(e, packedName, m.dir, m.own)
}

// asConverted compares the GGUF file that the program writes with what llama.cpp's converter makes
// of the directory of the same conversion. It prints a line, and reports whether they are the same.
func (b *bench) asConverted(e engine) bool {
	found, err := b.againstConverter(e)
	verdict := "ok"
	switch {
	case err != nil:
		verdict = err.Error()
	case len(found) > 0:
		verdict = fmt.Sprintf("FAILED: %d differences, in %s", len(found), strings.Join(found[:min(4, len(found))], ", "))
	}
	fmt.Printf("%-24s %-24s %s\n", e.name, "bytes of its converter", verdict)
	return verdict == "ok"
}

// againstConverter makes both files, and lists the differences.
func (b *bench) againstConverter(e engine) ([]string, error) {
	dir, ours := b.path("directory"), b.path("ours.gguf")
	for _, out := range []string{dir, ours} {
		if _, err := b.command(nil, b.program, slices.Concat(sameSizes, []string{"--target", "llama.cpp", b.model, out})...); err != nil {
			return nil, err
		}
	}
	theirs, err := b.gguf(e, dir)
	if err != nil {
		return nil, err
	}
	return differences(ours, theirs)
}

// differences lists the keys and tensors in which two GGUF files differ.
func differences(ours, theirs string) ([]string, error) {
	var files [2]*gguf.File
	for i, path := range []string{ours, theirs} {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return nil, err
		}
		if files[i], err = gguf.Read(f, info.Size()); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	found := differentKeys(files[0].Metadata, files[1].Metadata)
	tensors, err := differentTensors(files[0].Tensors, files[1].Tensors)
	return append(found, tensors...), err
}

// differentKeys lists the keys of which two files have other values, or not in the same order.
func differentKeys(ours, theirs gguf.Metadata) (found []string) {
	for i := range max(len(ours), len(theirs)) {
		switch {
		case i >= len(ours):
			found = append(found, theirs[i].Key)
		case i >= len(theirs) || ours[i].Key != theirs[i].Key:
			found = append(found, ours[i].Key)
		case !slices.Contains(readElsewhere, ours[i].Key) && !reflect.DeepEqual(ours[i].Value, theirs[i].Value):
			found = append(found, ours[i].Key)
		}
	}
	return found
}

// differentTensors lists the tensors of which two files have other types, shapes or bytes, or not
// in the same order.
func differentTensors(ours, theirs []*gguf.Tensor) (found []string, err error) {
	for i := range max(len(ours), len(theirs)) {
		switch {
		case i >= len(ours):
			found = append(found, theirs[i].Name)
			continue
		case i >= len(theirs) || ours[i].Name != theirs[i].Name || ours[i].Type != theirs[i].Type || !slices.Equal(ours[i].Shape, theirs[i].Shape):
			found = append(found, ours[i].Name)
			continue
		}
		a, err := io.ReadAll(ours[i].Raw())
		if err != nil {
			return nil, err
		}
		b, err := io.ReadAll(theirs[i].Raw())
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(a, b) {
			found = append(found, ours[i].Name)
		}
	}
	return found, nil
}
