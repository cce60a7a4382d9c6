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

// tip says which files hold token ids.
const tip = "token ids are read from .json (a list of ids, or a list of such lists), .npy, .u16, .u32, " +
	"and .ds or .bin as datatrove writes them"

// Read reads the token ids in a file, whose extension says how it is written:
//
//	.npy       a NumPy array of integers; each row of a matrix is a sequence
//	.u16 .u32  nothing but little-endian ids of so many bits
//	.ds .bin   what datatrove and nanotron write: as .u16 for a vocabulary
//	           that fits 16 bits, else as .u32
//	the rest   JSON, as parseJSON reads it
//
// Every id must be below vocab. The file may be a pipe.
func Read(ctx context.Context, path string, vocab int) ([][]int, error) {
	return ReadSome(ctx, path, vocab, 0)
}

// ReadSome is Read for who needs no more than so many ids (0: all): it reads no
// further, be the file as long as it may.
func ReadSome(ctx context.Context, path string, vocab, most int) ([][]int, error) {
	f, err := checkpoint.OpenStream(ctx, path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sequences, err := reader(path, vocab)(bufio.NewReaderSize(f, 1<<16), &ids{vocab: vocab, most: most})
	var failed *os.PathError
	switch {
	case errors.As(err, &failed): // the disk's fault, not the file's
		return nil, err
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
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

// maxIDs is how many ids are held, of 8 bytes each.
const maxIDs = 1 << 27

// errEnough ends the reading of a file of which enough has been read.
var errEnough = errors.New("enough")

// ids counts ids and checks them.
type ids struct {
	vocab int
	most  int // after which it is enough; 0: never
	taken int
}

// take takes an id, which is wrong if it is none of the vocabulary.
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

// enough is errEnough once it is.
func (x *ids) enough() error {
	if x.most > 0 && x.taken >= x.most {
		return errEnough
	}
	return nil
}

// errNoIDs says that a file is well-formed and useless.
var errNoIDs = errors.New("no token ids")

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
