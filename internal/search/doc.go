// Package search decides the sizes of a conversion that nobody has named: the division of a
// cache between latent and rotary key, the base and scaling of the rotary key's frequencies,
// the size of a key that a threshold asks for, and the shrinkage of statistics.
//
// It goes from what is cheap and says little to what is dear and says much. Predictions from
// second moments tell apart all candidates, on some layers; a trial on sampled activations
// tells apart the best of these, on the same layers; a rehearsal on tokens held out takes the
// best of those through all layers, one after the other.
package search
