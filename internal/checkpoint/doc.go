// Package checkpoint decides which files of a checkpoint are sound, and when an output
// appears under its final name.
//
// It reads and writes safetensors files, shard indexes, and what lies beside them. Files
// come from strangers: a header is checked to its last byte before anything uses it, and
// a tensor is read only when somebody asks for it. What is written appears whole or not
// at all, whenever the process is killed (design §12).
//
// Reading begins at Open (source.go; header.go and index.go check what is read), writing
// at Reserve (reserve.go), which makes an output this process's own. output.go says what
// lies in its temporary folder, replace.go how old files give way to new ones, and
// writer.go writes one safetensors file. All that is written goes through package fsys, so
// that a test can fail any of its calls.
package checkpoint
