// Package plan decides what a conversion will be and what it will write.
//
// A Request holds what the user has said and nothing else. Choose turns it into Choices for
// one model: every default, what a method implies, what one engine needs, what statistics
// make possible, and the sizes as far as the request fixes them. The package search chooses
// what the choices leave open. New then lists every tensor with its type and shape, every
// file, and every key of the configuration. The package reads headers, never weights, and
// leaves the writer nothing to decide.
//
// Whoever adds a choice for the user adds a field to Request, decides its default in Choose,
// and adds to Choices.Words the line that makes the choice again.
package plan
