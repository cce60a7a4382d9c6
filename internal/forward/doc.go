// Package forward decides what a model makes of tokens: it runs a canonical decoder in
// single precision, with the semantics of the stock classes, which are those of the
// family for MHA, GQA and MQA and DeepseekV3ForCausalLM without experts for latent
// attention, and with those of the reference implementation of the MHA2MLA paper.
//
// It holds one layer at a time, read from the disk when asked, and the residual streams
// of all windows between layers.
package forward
