// Package heal decides how a converted layer becomes better on text, layer after layer, without
// back-propagation through the model (design §9).
//
// A Healer runs three residual streams side by side: the source's, that of the converted model
// with all layers before healed, and that of the closed forms, which tells what healing has won.
// It fits a layer so that what it adds to the second stream makes it equal to the first. That is
// a least-squares problem of one attention layer. Its gradients are in pass.go, attention.go and
// backward.go, and adam.go descends along them. A Rehearsal fits nothing: it takes several
// conversions through the layers, to see what each loses altogether.
package heal
