// Package quant decides what a few bits a number leave of a cached vector.
//
// It rounds vectors in groups that share an affine scale, as engines do with a quantised
// cache. The zero points are those of HQQ (Half-Quadratic Quantization, Badri and Shaji
// 2023): they minimise the sum of |error|^0.7, which forgives outliers what it saves on
// everything else.
package quant
