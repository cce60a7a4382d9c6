//go:build !unix

package main

import "math"

// processor says that nobody knows.
func processor() float64 { return math.NaN() }
