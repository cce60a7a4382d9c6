//go:build !amd64 || noasm

package vector

// There are no kernels: plain code does everything.

func maximumFirst(v []float32) (largest float32, done int)        { return v[0], 1 }
func exponentialFirst([]float32, float32) (sum float32, done int) { return 0, 0 }
func scaleFirst([]float32, float32) (done int)                    { return 0 }
func gateFirst(_, _ []float32, _, _ float32) (done int)           { return 0 }
func observeFirst(_, _, _, _, _ []float32) (done int)             { return 0 }
func logSumFirst(_, _ []float32, _, _ float64) (s Sums, done int) { return Sums{}, 0 }
