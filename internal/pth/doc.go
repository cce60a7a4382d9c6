// Package pth decides which tensor a file of torch.save holds, without executing what is in
// it.
//
// Such a file is a zip archive of a pickle and raw data, and a pickle is a program. The
// package executes it on a machine that knows the few opcodes and names that a tensor of
// bytes needs, and returns an error that names any other. The rankings of the MHA2MLA
// authors' code are such files; the package writes them, too.
package pth
