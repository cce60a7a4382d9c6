// Package tokens reads token ids and cuts them into windows.
package tokens

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
)

// tip says which files hold token ids.
const tip = "token ids are read from .json (a list of ids, or a list of such lists), .npy, .u16, .u32, " +
	"and .ds or .bin as datatrove writes them"

// Read reads the token ids in a file, whose extension says how it is written:
//
//	.npy       a NumPy array of integers; each row of a matrix is a sequence
//	.u16 .u32  nothing but little-endian ids of so many bits
//	.ds .bin   what datatrove and nanotron write: as .u16 for a vocabulary
//	           that fits 16 bits, else as .u32
//	the rest   JSON, as Parse reads it
//
// Every id must be below vocab.
func Read(path string, vocab int) ([][]int, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sequences, err := reader(path, vocab)(bufio.NewReaderSize(f, 1<<16), vocab)
	var failed *os.PathError
	switch {
	case errors.As(err, &failed): // the disk's fault, not the file's
		return nil, err
	case err != nil:
		return nil, &checkpoint.FormatError{Path: path, What: err.Error(), Tip: tip}
	}
	return sequences, nil
}

// HoldsIDs reports whether the name of a file is one of those of token ids.
func HoldsIDs(path string) bool {
	return slices.Contains([]string{".json", ".npy", ".u16", ".u32", ".ds", ".bin"}, strings.ToLower(filepath.Ext(path)))
}

// reader returns what reads the format of path.
func reader(path string, vocab int) func(io.Reader, int) ([][]int, error) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".npy":
		return ParseNpy
	case ".u16":
		return raw(2)
	case ".u32":
		return raw(4)
	case ".ds", ".bin":
		return raw(nanosetWidth(vocab))
	default:
		return Parse
	}
}

// errNoIDs says that a file is well-formed and useless.
var errNoIDs = errors.New("no token ids")

// outside says that an id is none of the vocabulary.
func outside(id any, vocab int) error {
	return fmt.Errorf("token id %d, and the vocabulary has %d", id, vocab)
}

// Skip drops the first n tokens of sequences.
func Skip(sequences [][]int, n int) [][]int {
	for n > 0 && len(sequences) > 0 {
		k := min(n, len(sequences[0]))
		if n -= k; k == len(sequences[0]) {
			sequences = sequences[1:]
			continue
		}
		sequences = append([][]int{sequences[0][k:]}, sequences[1:]...)
	}
	return sequences
}

// Windows cuts sequences into windows of at most length tokens, none across the
// border of two sequences, and stops after most tokens (0: never). What is left
// at the end of a sequence becomes a shorter window, unless it is one token,
// which predicts nothing.
func Windows(sequences [][]int, length, most int) [][]int {
	var windows [][]int
	total := 0
	for _, s := range sequences {
		for len(s) > 1 {
			n := min(length, len(s))
			if most > 0 {
				n = min(n, most-total)
			}
			if n < 2 {
				return windows
			}
			windows = append(windows, s[:n])
			total += n
			s = s[n:]
		}
	}
	return windows
}
