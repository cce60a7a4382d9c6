// Package latenttest decides which forms of latent attention are tested.
package latenttest
