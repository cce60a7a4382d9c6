// Package cli decides which words mean what, and what people and scripts are told: one file
// per command. A command parses its flags, calls what does the work, and prints.
//
// The rules of the user interface: standard output carries results and nothing else.
// Everything else goes to standard error, each line beginning with the program's name, in
// lower case, without a full stop, names quoted. An error is one line, then hints that name
// the flag to try. Nothing ever prompts.
package cli
