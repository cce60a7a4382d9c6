// Command man decides how the help of the program becomes manual pages: it writes one
// for each command into the folder that its argument names.
package main
