// Package kubernetes holds the jobs that plan prints to the types of Kubernetes, and runs them by the
// rules that they state. It is a module of its own, so that the program depends on nothing of it.
package kubernetes
