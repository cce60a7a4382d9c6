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
// ctx.
func (b Budget) Each(ctx context.Context, n int, need int64, f func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(1, b.Jobs))
	room := semaphore.NewWeighted(b.Memory)
	need = min(b.Memory, need)
	for i := range n {
		group.Go(func() error {
			if err := room.Acquire(ctx, need); err != nil {
				return context.Cause(ctx)
			}
			defer room.Release(need)
			return f(ctx, i)
		})
	}
	return group.Wait()
}
