// Package distill decides how all layers of a conversion learn together from the source, by
// back-propagation through the whole model (design §9).
//
// A Distiller has the latent attention of all layers. A step takes some windows of tokens through
// the source (streams.go), through the converted model and back again, layer by layer, so that the
// activations of one layer alone are in memory (pass.go). What the converted model has lost is
// told by the logits and by the streams (head.go, streams.go). Every layer descends as soon as its
// gradient is known.
package distill
