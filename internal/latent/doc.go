// Package latent decides how the latent attention of one layer is computed forwards and
// backwards, and how its weights descend along their gradients (design §9).
//
// Weights are the form that all layouts have in common. A Layer is the same in single or double
// precision. Its Forward gives a Pass, which holds the activations of a batch of tokens, and the
// Backward of a Pass the gradients of the weights, which Soap descends along. Nothing here knows
// of models, streams or files.
package latent
