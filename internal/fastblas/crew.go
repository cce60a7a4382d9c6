package fastblas

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// crew shares the processors among the products under way, so that many at once, each
// called from another goroutine, do not each start one goroutine per processor.
type crew struct{ busy atomic.Int64 }

// enter counts the caller in and returns how many helpers, at most most, join.
func (c *crew) enter(most int) (helpers int) {
	free := int64(runtime.GOMAXPROCS(0)) - c.busy.Add(1)
	helpers = int(max(0, min(free, int64(most))))
	c.busy.Add(int64(helpers))
	return helpers
}

// each calls f for 0, …, n-1 from the caller and its helpers. It counts each of them out
// as soon as nothing is left to begin.
func (c *crew) each(helpers, n int, f func(i int)) {
	var next atomic.Int64
	work := func() {
		defer c.busy.Add(-1)
		for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
			f(int(i))
		}
	}
	var wait sync.WaitGroup
	for range helpers {
		wait.Go(work)
	}
	work()
	wait.Wait()
}
