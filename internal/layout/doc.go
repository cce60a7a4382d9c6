// Package layout decides how a converted layer is named, scaled, padded, configured and
// written: as a dense DeepSeek-V3 for stock engines, in the form of the MHA2MLA authors'
// code, or as grouped-query attention with fewer KV heads.
//
// What a conversion loses is decided in package mla, which knows of no layout. Each layout
// has files of its own (deepseek*.go, reference*.go, grouped.go) over what all of them
// share: layout.go says what a layout is, and tensors.go writes rows.
package layout
