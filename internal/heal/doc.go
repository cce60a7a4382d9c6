// Package heal decides how a converted layer becomes better on text, layer after layer, without
// back-propagation through the model (design §9).
//
// A Healer runs three residual streams side by side: the source's, that of the converted model
// with all layers before healed, and that of the closed forms, which tells what healing has won.
// An Order says which of the first two a layer learns on: it is fitted so that what it adds to
// that stream makes it equal to the first. That is a least-squares problem of one attention layer,
// whose gradients are those of package latent. Layers may be under way at the same time; turns.go
// keeps the order of what one layer leaves to the next. A Rehearsal fits nothing: it takes several
// conversions through the layers, to see what each loses altogether.
package heal
