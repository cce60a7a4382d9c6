package layout

import (
	"math"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/family"
)

// norms writes the norms and fixes the factors that make them linear.
//
// RMSNorm(c) = c/√(mean c² + ε)·w is c/√ε·w for a latent small enough. The
// latent is scaled by s = s₁·s₂, powers of two, and w = √ε/s undoes it. F16
// reaches neither far enough down for all of s in the input norm nor for a
// latent as small as the other types allow: it gets both halves of a larger s.
func (w *deepseekWriter) norms() error {
	gamma, err := w.layer.Source.Norm()
	if err != nil {
		return err
	}
	w.input, w.rows, w.upFix = 1, 1, 1
	latent := w.open(family.KVANorm)
	square := float64(w.Rank) / float64(w.KVLoraRank) // over padding, too
	weight := math.Sqrt(square)
	if w.LatentNorm == NormLinear {
		exponent := linearExponent(w.layer.MostLatent, w.LatentEps, latent.DType())
		rows := 0
		if latent.DType() == checkpoint.F16 {
			rows = exponent / 2
		}
		w.input, w.rows = math.Ldexp(1, exponent-rows), math.Ldexp(1, rows)
		weight, w.upFix = linearWeight(w.input*w.rows, square, w.LatentEps, latent.DType())
	}
	weights := constant(weight, w.KVLoraRank)
	for k, v := range w.layer.Norm {
		weights[k] *= v
	}
	if err := writeVector(latent, weights); err != nil {
		return err
	}
	if w.QLoraRank > 0 {
		if err := w.queryNorm(); err != nil {
			return err
		}
	}
	return w.tensor(family.InputNorm, len(gamma), func(out *rowWriter) error {
		return out.write(gamma, w.input)
	})
}

// queryNorm writes q_a_layernorm, linear by the same means. A q_a of full rank
// is then a multiple of the identity, which every type holds exactly.
func (w *deepseekWriter) queryNorm() error {
	norm := w.open(family.QANorm)
	square, most := w.layer.MeanInput, w.layer.MostInput
	if w.layer.QueryDown != nil {
		square, most = 1, w.layer.MostLatent
	}
	if w.layer.Constants != nil { // of one more channel
		n := float64(w.QLoraRank)
		square, most = ((n-1)*square+1)/n, ((n-1)*most+1)/n
	}
	scale := math.Ldexp(1, linearExponent(most, w.LatentEps, norm.DType()))
	w.queryA = scale / w.input
	var weight float64
	weight, w.qFix = linearWeight(scale, square, w.LatentEps, norm.DType())
	return writeVector(norm, constant(weight, w.QLoraRank))
}

// linearExponent returns the exponent of the largest power of two s at which a
// vector of the given mean square passes RMSNorm of ε unchanged but for a constant:
// s²·square ≤ 1e-4·ε leaves a gain error of 5e-5. For F16, in which so small a
// vector would lose more to rounding, 1e-3.
func linearExponent(square, eps float64, t checkpoint.DType) int {
	tolerance := 1e-4
	if t == checkpoint.F16 {
		tolerance = 1e-3
	}
	if square <= 0 {
		square = 1
	}
	return int(math.Floor(math.Log2(tolerance*eps/square) / 2))
}

// linearWeight returns the weight, as type t holds it, of a norm of ε on a vector of
// the given mean square times scale², such that the scale is undone; and what is left to
// multiply with: the rounding, and the gain at that mean square.
func linearWeight(scale, square, eps float64, t checkpoint.DType) (weight, fix float64) {
	weight = checkpoint.Round(math.Sqrt(eps)/scale, t)
	return weight, math.Sqrt(eps+scale*scale*square) / scale / weight
}
