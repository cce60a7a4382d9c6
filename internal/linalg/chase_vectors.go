package linalg

import "gonum.org/v1/gonum/blas/blas64"

const (
	// chaseGroup is the number of sweeps whose reflectors of the same step are
	// applied together: they begin a row apart.
	chaseGroup = 32
	// chaseColumns is the number of columns that all reflectors of a group are applied
	// to before the next columns, so that the columns stay in the cache.
	chaseColumns = 256
)

// apply sets z, [n × k], to Q·z. It applies the last sweep first. Within a group of
// sweeps, the reflectors of one step share rows with those of the step before, which
// therefore come first.
func (c *chase) apply(z blas64.General) {
	sweeps := max(0, c.n-2)
	for from := lastGroup(sweeps, chaseGroup); from >= 0; from -= chaseGroup {
		blocks := c.group(from, min(sweeps, from+chaseGroup))
		parallelRange(z.Cols, chaseColumns, func(first, end int) {
			for _, b := range blocks {
				rows := general(b.v.Cols, end-first, z.Stride, z.Data[b.row*z.Stride+first:])
				b.apply(rows)
			}
		})
	}
}

// group returns the reflectors of the sweeps from … to−1, a block for every step.
func (c *chase) group(from, to int) []blockReflector {
	steps := (c.n - 1 - from + bandWidth - 1) / bandWidth
	blocks := make([]blockReflector, steps)
	parallel(steps, func(step int) {
		_, row := c.reflector(from, step)
		v := newGeneral(to-from, min(c.n-row, bandWidth+to-from-1))
		tau := make([]float64, to-from)
		for i := range tau {
			if from+i+1+step*bandWidth >= c.n {
				continue // a short sweep has no such step
			}
			vector, _ := c.reflector(from+i, step)
			copy(v.Data[i*v.Stride+i:], vector)
			tau[i] = c.tau[(from+i)*c.steps+step]
		}
		blocks[step] = newBlockReflector(row, v, tau)
	})
	return blocks
}
