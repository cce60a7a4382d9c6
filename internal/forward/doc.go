// Package forward decides what a model computes: it runs a canonical decoder on tokens in
// single precision. A model with MHA, GQA or MQA computes as the stock class of its family
// does, one with latent attention as DeepseekV3ForCausalLM without experts does, and one in
// the mha2mla layout as the reference implementation of the MHA2MLA paper does (design §6 to
// §8).
//
// It holds one layer at a time, which it reads from the disk when asked, and the residual
// streams of all windows between layers.
package forward
