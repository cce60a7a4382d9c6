// Package testmodel decides what the checkpoints look like that tests run on: small
// ones of every family and layout, with random weights, written whole or opened at once.
package testmodel
