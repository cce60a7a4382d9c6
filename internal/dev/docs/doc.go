// Package docs decides whether internal/DESIGN.md is still true of the code, as far as a
// machine can tell. It consists of tests alone. They fail if a section that a comment cites
// does not exist, if the map of packages is not that of the code, or if a file, a name or a
// test that the document cites is gone.
package docs
