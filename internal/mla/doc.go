// Package mla decides how one attention layer becomes multi-head latent attention: which
// matrices take the place of its projections, and what that loses.
//
// A rotary key is shared by all heads, or each KV head has one of its own, and content keys
// and values are projected up from a latent. How the matrices are named, padded and
// written, and what engines ask of them, is decided in package layout.
//
// input.go reads a layer and what is known of it. Choices are made and their losses
// predicted in choice.go and predict.go, tried out in trial.go and fit.go. mla.go converts
// with one rotary key for all heads, perhead.go with one of each KV head, pooled.go to
// fewer KV heads. heads.go has the queries of what was converted in closed form, and
// healed.go what healing puts in their place.
package mla
