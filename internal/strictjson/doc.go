// Package strictjson decides which JSON of strangers is accepted.
//
// It reads JSON as a stream. It refuses a name that occurs twice in one object, invalid
// UTF-8, deep nesting, and counts that are not written with digits alone. No two readers
// understand a text that it accepts differently.
package strictjson
