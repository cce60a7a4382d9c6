package fault_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/mha2mla/mha2mla/internal/fault"
)

// kinded is an error of a kind that may wrap another.
type kinded struct {
	kind  fault.Kind
	inner error
}

func (e kinded) Error() string    { return "kinded" }
func (e kinded) Kind() fault.Kind { return e.kind }
func (e kinded) Unwrap() error    { return e.inner }

// TestOf finds the kind of an error wherever it is wrapped, and of several the one that
// speaks for all.
func TestOf(t *testing.T) {
	plain := errors.New("plain")
	usage, unsupported := kinded{fault.Usage, nil}, kinded{fault.Unsupported, nil}
	for name, c := range map[string]struct {
		err  error
		want fault.Kind
	}{
		"none":            {nil, fault.Failed},
		"no kind":         {plain, fault.Failed},
		"itself":          {usage, fault.Usage},
		"wrapped":         {fmt.Errorf("layer 3: %w", unsupported), fault.Unsupported},
		"joined":          {errors.Join(plain, unsupported, fmt.Errorf("then %w", usage)), fault.Usage},
		"inside another":  {kinded{fault.NoSpace, usage}, fault.Usage},
		"outside another": {kinded{fault.Usage, unsupported}, fault.Usage},
	} {
		if got := fault.Of(c.err); got != c.want {
			t.Errorf("%s: the kind is %d, want %d", name, got, c.want)
		}
	}
}
