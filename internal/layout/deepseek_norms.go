package layout

import (
	"math"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/family"
)

// norms writes the norms and decides the factors that make them linear (design §6). The
// writers of the other tensors use these, so that it runs first.
//
// RMSNorm(c) = c/√(mean c² + ε)·w is c/√ε·w for a latent that is small enough. The latent
// is scaled by s = s₁·s₂, powers of two, and w = √ε/s undoes that. F16 does not hold
// numbers as small as the other types do. There s is larger, and half of it is in the input
// norm and half in the latent rows.
func (w *deepseekWriter) norms() error {
	gamma, err := w.layer.Source.Norm()
	if err != nil {
		return err
	}
	w.input, w.rows, w.upFix = 1, 1, 1
	latent := w.open(family.KVANorm)
	square := float64(w.Rank) / float64(w.KVLoraRank) // the mean square over the channels, those of padding included
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

// queryNorm writes q_a_layernorm and decides the factors that make it linear, in the same
// way. A q_a of full rank is then a power of two times the identity, which every type holds
// exactly. A norm that the source has is written as it is, behind a q_a that is scaled, in powers
// of two, for the ε that the engine has there.
func (w *deepseekWriter) queryNorm() error {
	norm := w.open(family.QANorm)
	if w.layer.QueryNorm != nil {
		w.queryA, w.qFix = math.Exp2(math.Round(math.Log2(w.LatentEps/w.layer.QueryEps)/2))/w.input, 1
		return writeVector(norm, w.layer.QueryNorm)
	}
	square, most := w.layer.MeanInput, w.layer.MostInput
	if w.layer.QueryDown != nil {
		square, most = 1, w.layer.MostLatent
	}
	if w.layer.Constants != nil { // there is one more channel, which is 1
		n := float64(w.QLoraRank)
		square, most = ((n-1)*square+1)/n, ((n-1)*most+1)/n
	}
	scale := math.Ldexp(1, linearExponent(most, w.LatentEps, norm.DType()))
	w.queryA = scale / w.input
	var weight float64
	weight, w.qFix = linearWeight(scale, square, w.LatentEps, norm.DType())
	return writeVector(norm, constant(weight, w.QLoraRank))
}

// linearExponent returns the exponent of the largest power of two s for which RMSNorm with ε
// does no more than multiply s times a vector of the given mean square by a constant:
// s²·square ≤ 1e-4·ε leaves an error of the gain of 5e-5. For F16 it is 1e-3, because so
// small a vector would lose more by rounding there.
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

// linearWeight returns the weight, as type t holds it, with which a norm with ε undoes the
// scale of a vector, whose mean square was the given one before it was scaled. Fix is the
// factor that is left for another tensor: it makes up for the rounding of the weight and
// for the gain at that mean square.
func linearWeight(scale, square, eps float64, t checkpoint.DType) (weight, fix float64) {
	weight = checkpoint.Round(math.Sqrt(eps)/scale, t)
	return weight, math.Sqrt(eps+scale*scale*square) / scale / weight
}
