// Package f32 decides how activations are held and multiplied: as row-major matrices in
// single precision, a row per token, on which attention is computed some queries at a
// time. Running a model, trying a conversion and healing a layer share it. What has a
// type parameter works in double precision too, which tests hold gradients against.
package f32
