package linalg

import (
	"math"
	"sync"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
)

// chase is the second stage: the reduction of a band B = Q·T·Qᵀ to tridiagonal
// form.
//
// Sweep j clears row j beyond its first neighbour with a reflector, which fills a
// bulge bandWidth further down. The next reflector clears the first row of that bulge,
// and so on to the end. The other rows of the bulges stay, and the next sweep, whose
// bulges begin one row further on, clears one more row of each (Lang, SIAM J. Sci.
// Comput. 14, 1320–1338; Haidar, Ltaief & Dongarra, SC 2011). The reflectors of one
// sweep lie end to end in the rows after j.
type chase struct {
	band
	vectors []float64 // those of sweep j begin at start(j), and are for the rows from j+1 on
	tau     []float64 // [n × steps]: factors of the reflectors by sweep and step
	steps   int
	relay   *relay
}

// tridiagonalise reduces the band, which it overwrites, to T, and returns with it the
// reflectors that make up Q.
func (b band) tridiagonalise() (tridiagonal, *chase) {
	n := b.n
	c := &chase{band: b, steps: (n + bandWidth - 1) / bandWidth, relay: newRelay(n)}
	c.vectors = make([]float64, c.start(n))
	c.tau = make([]float64, n*c.steps)
	parallel(max(0, n-2), c.sweep)
	t := tridiagonal{make([]float64, n), make([]float64, max(0, n-1))}
	for i := range n {
		t.diagonal[i] = b.from(i, i)[0]
		if i+1 < n {
			t.beside[i] = b.from(i, i+1)[0]
		}
	}
	return t, c
}

// start returns where the vectors of sweep j begin: those of the sweeps before it have
// n−1, n−2, … elements.
func (c *chase) start(j int) int { return j*(c.n-1) - j*(j-1)/2 }

// reflector returns the vector of a step of sweep j, of bandWidth elements at most,
// and the first of the rows that it is applied to.
func (c *chase) reflector(j, step int) (v []float64, row int) {
	row = j + 1 + step*bandWidth
	at := c.start(j) + step*bandWidth
	return c.vectors[at : at+min(bandWidth, c.n-row)], row
}

// sweep follows the bulge that row j makes to the end. It stays behind the sweep
// before it, because a step reaches into elements that the next step of that sweep
// changes.
func (c *chase) sweep(j int) {
	const stretch = 8 // steps between looks at the other sweep
	work := make([]float64, bandWidth)
	c.relay.await(j-1, 2)
	v, row := c.reflector(j, 0)
	tau := reflectRow(c.from(j, row), v)
	for step := 0; ; step++ {
		if step%stretch == 0 {
			c.relay.await(j-1, step+stretch+1)
		}
		c.tau[j*c.steps+step] = tau
		c.reflectSquare(row, v, tau, work)
		if row+bandWidth >= c.n {
			break
		}
		next, nextRow := c.reflector(j, step+1)
		block := general(len(v), len(next), bandStride, c.from(row, nextRow))
		tau = chaseBlock(block, v, tau, next, work)
		v, row = next, nextRow
		if (step+1)%stretch == 0 {
			c.relay.pass(j, step+1)
		}
	}
	c.relay.pass(j, math.MaxInt)
}

// reflectRow computes the reflector v that leaves one of the first len(v) elements of
// a row, applies it to them, and returns its factor.
func reflectRow(row, v []float64) (tau float64) {
	copy(v, row)
	clear(row[:len(v)])
	row[0], tau = netlib.Dlarfg(len(v), v[0], v[1:], 1)
	v[0] = 1
	return tau
}

// reflectSquare applies a reflector to the square on the diagonal that begins at
// row, from both sides.
func (c *chase) reflectSquare(row int, v []float64, tau float64, work []float64) {
	if tau == 0 {
		return
	}
	a := blas64.Symmetric{N: len(v), Stride: bandStride, Uplo: blas.Upper, Data: c.from(row, row)}
	x, w := vector(v), vector(work[:len(v)])
	blas64.Symv(tau, a, x, 0, w)
	blas64.Axpy(-tau/2*blas64.Dot(w, x), x, w)
	blas64.Syr2(-1, x, w, a)
}

// chaseBlock applies the reflector v to the rows of a block, computes the reflector
// next that then clears its first row, and applies next to the columns. It returns the
// factor of next. Work has room for bandWidth elements.
func chaseBlock(block blas64.General, v []float64, tau float64, next, work []float64) float64 {
	if tau != 0 {
		u := vector(work[:block.Cols])
		blas64.Gemv(blas.Trans, tau, block, vector(v), 0, u)
		blas64.Ger(-1, vector(v), u, block)
	}
	tau = reflectRow(block.Data, next)
	if tau != 0 && block.Rows > 1 {
		rest := general(block.Rows-1, block.Cols, block.Stride, block.Data[block.Stride:])
		u := vector(work[:rest.Rows])
		blas64.Gemv(blas.NoTrans, tau, rest, vector(next), 0, u)
		blas64.Ger(-1, u, vector(next), rest)
	}
	return tau
}

// relay lets sweeps that run at the same time tell each other how far they are.
type relay struct {
	mu      sync.Mutex
	changed sync.Cond
	steps   []int // by sweep: the number of steps done
}

// newRelay returns a relay for a number of sweeps that have not begun.
func newRelay(sweeps int) *relay {
	r := &relay{steps: make([]int, sweeps)}
	r.changed.L = &r.mu
	return r
}

// await waits until a sweep has done a number of steps, or has ended. A negative sweep
// is none to wait for.
func (r *relay) await(sweep, steps int) {
	if sweep < 0 {
		return
	}
	r.mu.Lock()
	for r.steps[sweep] < steps {
		r.changed.Wait()
	}
	r.mu.Unlock()
}

// pass says that a sweep has done a number of steps.
func (r *relay) pass(sweep, steps int) {
	r.mu.Lock()
	r.steps[sweep] = steps
	r.mu.Unlock()
	r.changed.Broadcast()
}
