// Package quant decides how a cached vector is rounded to a few bits a number.
//
// It rounds vectors in groups that share an affine scale, as engines do with a quantised
// cache. The zero points are those of HQQ (Half-Quadratic Quantization, Badri and Shaji
// 2023): they minimise the sum of |error|^0.7, in which a few large errors of outliers cost
// less than many small ones of all other numbers.
package quant
