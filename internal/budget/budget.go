package budget

import (
	"context"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// Budget bounds how much layers under way may take. Results do not depend on it.
type Budget struct {
	Jobs   int   // layers under way at a time, as far as Memory allows
	Memory int64 // bytes that layers under way may take together, 0 for no bound; one layer always may run
}

// Each calls f for the numbers below n, beginning them in order, several at a time as far as
// there is room for calls that take need bytes. It returns the first error, or the cause of
// parent.
func (b Budget) Each(parent context.Context, n int, need int64, f func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(parent)
	group.SetLimit(max(1, b.Jobs))
	room := semaphore.NewWeighted(b.Memory)
	need = min(b.Memory, need)
	for i := range n {
		if err := room.Acquire(ctx, need); err != nil { // in order: a call may wait for what those before it do
			break
		}
		group.Go(func() error {
			defer room.Release(need)
			return f(ctx, i)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return context.Cause(parent)
}
