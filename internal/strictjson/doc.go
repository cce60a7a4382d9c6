// Package strictjson decides which JSON of strangers is accepted.
//
// It reads JSON as a stream: no name twice in one object, no invalid UTF-8, bounded nesting,
// and counts that are written as digits alone. Two readers of such a text cannot understand
// it differently.
package strictjson
