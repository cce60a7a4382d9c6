// Package calib decides what is known of the activations of an attention layer. From that a
// conversion decides what to keep.
//
// Everything follows from C = E[x xᵀ], because queries, keys and values are linear in the
// attention input x (design §2). Without data, RMSNorm alone says what x looks like: x = γ ∘ h
// with h of unit mean square, so C = diag(γ²). With data, Collect runs the model on a text and
// adds up what each layer sees; a File holds the sums.
package calib
