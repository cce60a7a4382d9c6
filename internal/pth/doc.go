// Package pth decides which tensor a file of torch.save holds, without executing what is in
// it.
//
// Such a file is a zip archive of a pickle and raw data, and a pickle is a program. A
// machine of a few opcodes knows what a tensor of bytes is made of, and refuses everything
// else by name. The rankings of the MHA2MLA authors' code are such files; the package
// writes them, too.
package pth
