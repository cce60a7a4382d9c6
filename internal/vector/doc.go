// Package vector decides how the inner loops of a model, other than products of matrices, run
// on the processor at hand.
//
// It has kernels for processors with AVX2 and FMA, and plain loops for all others. Results
// depend on the processor by rounding, and on nothing else.
package vector
