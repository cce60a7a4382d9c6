package convert

import (
	"sync"
	"time"

	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/calib"
)

// Timing says where the time of a conversion went, summed over all that was under
// way side by side.
type Timing struct {
	Read       time.Duration // weights of layers
	Statistics time.Duration
	Factor     time.Duration // rotary key and factorisation
	Heal       time.Duration
	Write      time.Duration // tensors of layers
	Carry      time.Duration // tensors that are not computed
}

// clock adds up a Timing.
type clock struct {
	mu sync.Mutex
	Timing
}

// add adds the time since start, less what of it is booked already, to one of the
// times.
func (c *clock) add(to *time.Duration, start time.Time, booked time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*to += time.Since(start) - booked
}

// timedReads is a layer's weights, of which it times the reading. One goroutine
// uses it.
type timedReads struct {
	calib.Projections
	clock *clock
	total time.Duration
}

// take returns what was read since it was last asked.
func (t *timedReads) take() time.Duration {
	total := t.total
	t.total = 0
	return total
}

func (t *timedReads) book(start time.Time) {
	t.clock.add(&t.clock.Read, start, 0)
	t.total += time.Since(start)
}

// Norm reads γ.
func (t *timedReads) Norm() ([]float64, error) {
	defer t.book(time.Now())
	return t.Projections.Norm()
}

// Query reads the query projection of a head.
func (t *timedReads) Query(h int) (*mat.Dense, error) {
	defer t.book(time.Now())
	return t.Projections.Query(h)
}

// KeyValue reads the key and value projections.
func (t *timedReads) KeyValue() (*mat.Dense, error) {
	defer t.book(time.Now())
	return t.Projections.KeyValue()
}

// OutputRows reads rows of the output projection.
func (t *timedReads) OutputRows(from, to int) (*mat.Dense, error) {
	defer t.book(time.Now())
	return t.Projections.OutputRows(from, to)
}
