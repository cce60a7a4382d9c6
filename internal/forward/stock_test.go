package forward

import (
	"testing"

	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
)

// TestStock runs every checkpoint that a stock class has made, beside what that class computes.
func TestStock(t *testing.T) {
	testmodel.EachStock(t, "../..", func(t *testing.T, s testmodel.Stock) {
		if off := s.Off(logits(t, testmodel.Open(t, s.Dir), s.Tokens).Data); !(off < 1e-4) {
			t.Errorf("logits are off by %g", off)
		}
	})
}
