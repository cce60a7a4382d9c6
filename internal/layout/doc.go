// Package layout decides how a converted layer is named, scaled, padded, configured and
// written: as a dense DeepSeek-V3 for stock engines, in the form of the MHA2MLA authors'
// code, or as grouped-query attention with fewer KV heads.
//
// The mathematics of a layer is in package mla, which knows no layout. Each layout is in
// separate files (deepseek*.go, reference*.go, grouped.go). All of them share layout.go, which
// says what a layout is, and tensors.go, which writes rows.
package layout
