// Package plan decides what a conversion will be and what it will write.
//
// A Request is what the user has said, and says nothing of the rest. Choose turns it into
// Choices for one model: every default, what a method is a name for, what an engine alone
// needs, what statistics make possible, and the sizes as far as the request says them. What
// the choices leave open is searched for elsewhere. New then lists every tensor with its type
// and shape, every file, and every key of the configuration. The package reads headers, never
// weights, and leaves the writer nothing to decide.
//
// A new choice of the user's is a field of Request, what it means without a word is decided
// in Choose, and what makes it again is a line of Choices.Words.
package plan
