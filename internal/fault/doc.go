// Package fault decides into which kinds errors fall. Every error type has a method that says
// its kind. The command line turns kinds into exit statuses, and needs to know no types.
package fault
