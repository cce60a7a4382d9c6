// Package fault decides into which kinds errors fall. An error type says its kind by a
// method, so that the command line turns kinds into exit statuses and knows no types.
package fault
