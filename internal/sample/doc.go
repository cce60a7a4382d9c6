// Package sample decides what text a model makes for its own statistics. A conversion uses it
// where nobody gives a text. Beside a text that is given, it keeps the conversion from losing
// everything that this text does not show (design §2).
//
// If the weights fit into memory, text is written: each token is drawn from the model's
// probabilities after those before it (generator.go). Otherwise ids are drawn at random, and
// the model redraws them in a few passes over whole windows, with one layer in memory at a time
// (redraw.go). The same weights make the same text, and neither way needs a tokenizer.
package sample
