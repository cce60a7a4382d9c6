// Package job decides in which order a conversion does what, and what memory it may take. The
// order is told in pipeline.go and nowhere else: whoever inspects, compares, calibrates or
// verifies calls the same stages.
//
// What people see meanwhile is a View's business, and what becomes of the outcome is the
// caller's: this package prints nothing.
package job
