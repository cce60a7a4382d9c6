package f32

import (
	"context"
	"runtime"

	"golang.org/x/sync/errgroup"
)

// Each calls f for each of n windows, as many at a time as there are processors. It returns
// the first error, or the cause of ctx, and begins no more calls after one.
func Each(ctx context.Context, n int, f func(i int) error) error {
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(runtime.GOMAXPROCS(0))
	for i := range n {
		work.Go(func() error {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			return f(i)
		})
	}
	return work.Wait()
}
