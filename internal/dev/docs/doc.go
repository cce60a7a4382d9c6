// Package docs decides whether internal/DESIGN.md is still true of the code, as far
// as a machine can tell. Its tests are all there is of it: sections that comments
// cite must exist, the map of packages must be that of the code, and files, names and
// tests that the document cites must be there.
package docs
