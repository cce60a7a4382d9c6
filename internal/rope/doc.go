// Package rope decides which rotary pairs of a layer keep their rotation, and in which slots
// of a rotary key.
//
// Rotary pair i of a head is rows (i, i+J) of its projection, J = head_dim/2, read as one
// complex number z = k[i] + j·k[i+J]. RoPE at position t multiplies it by e^{jω_i t}
// (design §2). The package sees second moments, never weights.
//
// It builds the one rotary key that all heads of an MLA layer share (shared.go, assign.go;
// design §4), that of TransMLA (fold.go), or one for every KV head (perhead.go). rest.go has
// the constants that stand for a rotation that is lost, predict.go what a key will cost,
// search.go the bases to choose from, scaling.go and yarn.go the scaling of frequencies.
package rope
