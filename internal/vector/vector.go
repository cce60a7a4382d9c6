// Package vector holds the loops over numbers, other than matrix products, that
// running a model spends its time in.
package vector
