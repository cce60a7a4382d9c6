// Package option names what a user may ask for, so that packages can speak of it by values:
// in an error, in a remedy, in the command that makes an output again. How an option is
// written where the user asks for it, only the command line knows.
package option
