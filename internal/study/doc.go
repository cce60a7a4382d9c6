// Package study decides what is told of a conversion before anybody chooses one: what it
// would keep and lose of each layer, and what each method costs at several sizes of the
// cache.
package study
