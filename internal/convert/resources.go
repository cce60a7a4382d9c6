package convert

import (
	"context"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/mha2mla/mha2mla/internal/family"
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

// layerMemory estimates the bytes that converting a layer takes, with its query
// compressed or not, and with statistics or not.
func layerMemory(s family.Shape, query, stats bool) int64 {
	factoring := func(rows int) int64 {
		stack, side := int64(rows)*int64(s.Hidden), int64(min(rows, s.Hidden))
		return 8 * (2*stack + 4*side*side)
	}
	most := factoring(2 * s.KVHeads * s.HeadDim)
	if query { // after the stack of keys and values, which has gone by then
		most = max(most, factoring(s.Heads*s.HeadDim))
	}
	if stats { // C, two parts of it, and its factor
		most += 4 * 8 * int64(s.Hidden) * int64(s.Hidden)
	}
	return most
}
