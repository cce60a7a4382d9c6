// Package linalg decides how eigenvectors are found, and when they are believed.
//
// It holds the dense linear algebra that conversions are made of: the leading eigenvectors
// of symmetric and of complex Hermitian matrices, and metrics, by which they are weighted.
// Callers see a few functions (linalg.go, hermitian.go, metric.go); how they compute, and
// how fast, is this package's own business.
//
// A matrix is reduced to tridiagonal form by blocked Householder reflections, at once
// (tridiagonal.go) or by way of a band (band.go, chase.go). That form is divided and
// conquered (divide.go, merge.go, secular.go), and only the wanted vectors are transformed
// back. Every result is checked against the matrix (check.go), and gonum's algorithm takes
// over where one fails. Products are those of package fastblas. Results do not depend on
// the number of processors.
package linalg
