// Package verify decides how far a converted checkpoint is from its source.
//
// It runs both on the same tokens, side by side, one layer of each in memory. It measures the
// divergence of their predictions, by position, the error of every layer's attention on the
// source's input (design §6 says why that may be scaled), and the sizes of the caches.
package verify
