// Package f32 decides how activations are held and multiplied: as row-major matrices in
// single precision, a row per token, on which attention is computed some queries at a
// time. Running a model, trying a conversion and healing a layer share it. Functions with a
// type parameter work in double precision too, in which tests check gradients.
package f32
