// Package sample decides what text a model makes for its own statistics: what a conversion
// goes by where nobody gives it any, and what keeps it from forgetting everything but what
// it is given.
//
// Text is written, each token drawn from what the model expects after those before it, if
// the weights fit into memory (generator.go). Else ids drawn at random are redrawn by the
// model in a few passes over whole windows, one layer in memory at a time (redraw.go). The
// same weights make the same text, and neither way needs a tokenizer.
package sample
