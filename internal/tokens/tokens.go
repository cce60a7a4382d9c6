package tokens

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
)

// tip tells the user which files can hold token ids.
const tip = "token ids are read from .json (a list of ids, or a list of such lists), .npy, .u16, .u32, " +
	"and .ds or .bin as datatrove writes them"

// Read reads the token ids in a file and returns its sequences. The extension of the file
// says how it is written:
//
//	.npy       a NumPy array of integers; each row of a matrix is a sequence
//	.u16 .u32  one sequence of little-endian ids of that many bits
//	.ds .bin   files of datatrove and nanotron: like .u16 for a vocabulary
//	           that fits 16 bits, otherwise like .u32
//	others     JSON, as parseJSON reads it
//
// The file may be a pipe. Read returns a checkpoint.FormatError if the file is malformed, or
// if an id is not below vocab.
func Read(ctx context.Context, path string, vocab int) ([][]int, error) {
	return ReadSome(ctx, path, vocab, 0)
}

// ReadSome is Read for callers that need no more than most ids. It reads no further than
// that, however long the file is. If most is 0, it reads everything.
func ReadSome(ctx context.Context, path string, vocab, most int) ([][]int, error) {
	f, err := checkpoint.OpenStream(ctx, path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sequences, err := reader(path, vocab)(bufio.NewReaderSize(f, 1<<16), &ids{vocab: vocab, most: most})
	var failed *os.PathError
	switch {
	case errors.As(err, &failed): // the file could not be read, and may be sound
		return nil, err
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, &checkpoint.FormatError{Path: path, What: err.Error(), Tip: tip}
	}
	return sequences, nil
}

// HoldsIDs reports whether a file has one of the extensions of files of token ids.
func HoldsIDs(path string) bool {
	return slices.Contains([]string{".json", ".npy", ".u16", ".u32", ".ds", ".bin"}, strings.ToLower(filepath.Ext(path)))
}

// reader returns the function that reads files with the extension of path.
func reader(path string, vocab int) func(io.Reader, *ids) ([][]int, error) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".npy":
		return parseNpy
	case ".u16":
		return raw(2)
	case ".u32":
		return raw(4)
	case ".ds", ".bin":
		return raw(nanosetWidth(vocab))
	default:
		return parseJSON
	}
}

// maxIDs is the largest number of ids that are held. Each takes 8 bytes of memory.
const maxIDs = 1 << 27

// errEnough ends the reading of a file once the caller has enough ids.
var errEnough = errors.New("enough")

// ids counts the ids that are read, and checks them.
type ids struct {
	vocab int
	most  int // how many ids are enough; 0 if the caller wants all
	taken int // how many ids were read
}

// take counts an id. It returns an error if the id is not in the vocabulary, or if there are
// too many.
func (x *ids) take(id int64) error {
	switch {
	case id < 0 || id >= int64(x.vocab):
		return fmt.Errorf("token id %d, and the vocabulary has %d", id, x.vocab)
	case x.taken == maxIDs:
		return fmt.Errorf("more than %d token ids", maxIDs)
	}
	x.taken++
	return nil
}

// enough returns errEnough once enough ids were read.
func (x *ids) enough() error {
	if x.most > 0 && x.taken >= x.most {
		return errEnough
	}
	return nil
}

// errNoIDs says that a file is well-formed and holds no ids.
var errNoIDs = errors.New("no token ids")

// Skip drops the first n tokens of sequences.
func Skip(sequences [][]int, n int) [][]int {
	for n > 0 && len(sequences) > 0 {
		k := min(n, len(sequences[0]))
		n -= k
		if k == len(sequences[0]) {
			sequences = sequences[1:]
			continue
		}
		sequences = append([][]int{sequences[0][k:]}, sequences[1:]...)
	}
	return sequences
}
