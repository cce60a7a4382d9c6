// Package tokens reads token ids and cuts them into windows.
package tokens

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/strictjson"
)

// Read reads token ids from a JSON file: one list of ids, or a list of lists,
// each of them a sequence of its own. Every id must be below vocab.
func Read(path string, vocab int) ([][]int, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sequences, err := Parse(f, vocab)
	if err != nil {
		return nil, &checkpoint.FormatError{Path: path, What: err.Error(), Tip: "a token file is a JSON list of ids, or a list of such lists"}
	}
	return sequences, nil
}

// Parse reads what Read reads.
func Parse(r io.Reader, vocab int) ([][]int, error) {
	in := strictjson.NewReader(r)
	id := func(to *[]int) error {
		n, err := in.Uint()
		if err == nil && n >= uint64(vocab) {
			err = fmt.Errorf("token id %d, and the vocabulary has %d", n, vocab)
		}
		*to = append(*to, int(n))
		return err
	}
	var flat []int
	var sequences [][]int
	err := in.Array(func() error {
		if !in.AtArray() {
			return id(&flat)
		}
		var sequence []int
		err := in.Array(func() error { return id(&sequence) })
		if len(sequence) > 0 {
			sequences = append(sequences, sequence)
		}
		return err
	})
	if err == nil {
		err = in.End()
	}
	switch {
	case err != nil:
		return nil, err
	case len(flat) > 0 && len(sequences) > 0:
		return nil, errors.New("ids and lists of ids are mixed")
	case len(flat) > 0:
		return [][]int{flat}, nil
	case len(sequences) == 0:
		return nil, errors.New("no token ids")
	}
	return sequences, nil
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
