// Package search decides the sizes of a conversion that were not given: the division of a
// cache between latent and rotary key, the base and scaling of the rotary key's frequencies,
// the size of a key that a threshold asks for, and the shrinkage of statistics.
//
// It measures candidates first in ways that are cheap and say little, and then the best of
// them in ways that are dear and say much (design §4). Predictions from second moments compare
// all candidates, on some layers. A trial on sampled activations compares the best of these, on
// the same layers. A rehearsal on tokens held out takes the best of those through all layers,
// one after the other.
package search
