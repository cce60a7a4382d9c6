// Package heal decides how a converted layer becomes better on text, layer after layer, without
// back-propagation through the model (design §9).
//
// A Healer has three residual streams side by side: the source's, that of the converted model
// with all layers before healed, and that of the closed forms, to tell what healing wins. It
// asks a layer to add to the second what makes it the first. That is a least-squares problem
// of one attention layer, whose gradients stand in pass.go, attention.go and backward.go;
// adam.go descends them. A Rehearsal only looks: it takes several conversions through the
// layers, to see what each loses altogether.
package heal
