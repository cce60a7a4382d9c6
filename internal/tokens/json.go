package tokens

import (
	"errors"
	"io"
	"math"

	"github.com/mha2mla/mha2mla/internal/strictjson"
)

// parseJSON reads token ids from JSON. A list of ids is one sequence. In a list of lists,
// each inner list is one.
func parseJSON(r io.Reader, x *ids) ([][]int, error) {
	in := strictjson.NewReader(r)
	id := func(to *[]int) error {
		n, err := in.Uint()
		if err == nil {
			err = x.take(int64(min(n, math.MaxInt64)))
		}
		if err != nil {
			return err
		}
		*to = append(*to, int(n))
		return x.enough()
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
	case err != nil && !errors.Is(err, errEnough):
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
