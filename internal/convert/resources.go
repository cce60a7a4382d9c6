package convert

import (
	"context"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// Resources are what layers under way may take. Results do not depend on them.
type Resources struct {
	Jobs   int   // layers under way at a time, as far as Memory allows
	Memory int64 // bytes that layers under way may take; one is, however large; 0: no bound
}

// each calls f for the numbers below n, in order, several at a time as far as
// there is room for calls that take need bytes.
func (r Resources) each(ctx context.Context, n int, need int64, f func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(1, r.Jobs))
	room := semaphore.NewWeighted(r.Memory)
	need = min(r.Memory, need)
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
