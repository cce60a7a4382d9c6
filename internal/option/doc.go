// Package option names what a user may ask for. Other packages use these names as values in
// an error, in a remedy, or in the command that makes an output again. Only the command line
// knows how a user writes an option.
package option
