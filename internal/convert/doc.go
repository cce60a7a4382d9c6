// Package convert decides when each tensor of a plan is computed and written, and what of an
// interrupted run the next may keep: it converts the layers, copies the rest, and publishes
// the files together.
package convert
