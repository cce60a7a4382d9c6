// Package mla decides how one attention layer becomes multi-head latent attention: which
// matrices take the place of its projections, and what that loses.
//
// All heads share one rotary key, or each KV head has one, and content keys and values are
// projected up from a latent. How the matrices are named, padded and written, and what
// engines ask of them, is decided in package layout.
//
// input.go reads a layer and its statistics. choice.go makes choices and predict.go predicts
// their losses; trial.go and fit.go try them out. mla.go converts with one rotary key for all
// heads, perhead.go with one for each KV head, pooled.go to fewer KV heads. heads.go has the
// queries of a layer that was converted in closed form, and healed.go those that healing puts
// in their place.
package mla
