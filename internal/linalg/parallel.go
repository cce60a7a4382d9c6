package linalg

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// parallel calls f(0) … f(n−1), on as many goroutines as there are processors.
// No call of f may depend on another one; results are then the same on any number of
// processors.
func parallel(n int, f func(i int)) {
	workers := min(n, runtime.GOMAXPROCS(0))
	if workers <= 1 {
		for i := range n {
			f(i)
		}
		return
	}
	var next atomic.Int64
	work := func() {
		for {
			i := int(next.Add(1)) - 1
			if i >= n {
				return
			}
			f(i)
		}
	}
	var wg sync.WaitGroup
	for range workers - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
}

// parallelRange splits 0 … n−1 into ranges of size elements (the last may be
// shorter) and calls f for each, as parallel does.
func parallelRange(n, size int, f func(from, to int)) {
	parallel((n+size-1)/size, func(i int) { f(i*size, min(n, (i+1)*size)) })
}
