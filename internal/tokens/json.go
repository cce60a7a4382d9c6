package tokens

import (
	"errors"
	"io"

	"github.com/mha2mla/mha2mla/internal/strictjson"
)

// Parse reads token ids from JSON: one list of ids, or a list of lists, each of
// them a sequence of its own. Every id must be below vocab.
func Parse(r io.Reader, vocab int) ([][]int, error) {
	in := strictjson.NewReader(r)
	id := func(to *[]int) error {
		n, err := in.Uint()
		if err == nil && n >= uint64(vocab) {
			err = outside(n, vocab)
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
		return nil, errNoIDs
	}
	return sequences, nil
}
