package family

import (
	"fmt"
	"slices"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
)

// untie finds out whether a head that the configuration ties to the embedding is stored
// with other values than the embedding, as some trainers leave it. Engines differ on
// which they use then. The stored head is the one that was trained, so untie keeps it and
// corrects the configuration. It reads weights only where both are stored.
func (m *Model) untie() error {
	if !m.TiedHead {
		return nil
	}
	head, embedding := m.Source.Lookup(m.storedName(Head)), m.Source.Lookup(m.storedName(Embedding))
	if head == nil || embedding == nil {
		return nil
	}
	if !slices.Equal(head.Shape, embedding.Shape) {
		return m.contradiction("tensor %q has shape %v and is tied to %q of %v", head.Name, head.Shape, embedding.Name, embedding.Shape)
	}
	same, err := equal(head, embedding)
	if err != nil || same {
		return err
	}
	m.TiedHead = false
	m.Config.Set("tie_word_embeddings", false)
	m.Notes = append(m.Notes, fmt.Sprintf("the configuration ties %q to the embedding, and it is stored with other values: what is stored is kept", head.Name))
	return nil
}

// storedName is the name under which the checkpoint keeps a weight outside the layers.
func (m *Model) storedName(name string) string {
	if s := m.stored[name].name; s != "" {
		return s
	}
	return name
}

// equal reports whether two tensors of one shape hold the same values, whatever their
// types.
func equal(a, b *checkpoint.Tensor) (bool, error) {
	if !a.DType.Float() || !b.DType.Float() {
		return true, nil // the model is quantised, and bind refuses it
	}
	const atOnce = 1 << 16
	x, y := make([]float64, atOnce), make([]float64, atOnce)
	for at := int64(0); at < a.Elements(); at += atOnce {
		n := min(atOnce, a.Elements()-at)
		if err := checkpoint.Read(a, at, x[:n]); err != nil {
			return false, err
		}
		if err := checkpoint.Read(b, at, y[:n]); err != nil {
			return false, err
		}
		for i, v := range x[:n] {
			if v != y[i] && (v == v || y[i] == y[i]) { // two NaN count as the same
				return false, nil
			}
		}
	}
	return true, nil
}
