// Package vector decides how the loops that a model spends its time in run on the processor
// at hand: those over numbers, other than products of matrices.
//
// There are kernels where there are any for the processor, and plain loops elsewhere. Results
// depend on the processor by rounding, and on nothing else.
package vector
