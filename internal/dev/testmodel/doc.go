// Package testmodel decides on which checkpoints tests run. It makes small ones of every
// family and layout, with random weights, and writes them or opens them as well.
package testmodel
