package mla

import (
	"math"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/family"
)

// Write writes every tensor of a converted layer, opening each by its name
// within the layer.
func (d *Deepseek) Write(l *Layer, p calib.Projections, open func(name string) Sink) error {
	w := deepseekWriter{Deepseek: d, Layer: l, Projections: p, shape: p.Shape(), open: open}
	steps := []func() error{w.norms, w.query, w.down, w.up, w.output, w.biases}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// deepseekWriter writes one layer.
type deepseekWriter struct {
	*Deepseek
	*Layer
	calib.Projections
	shape family.Shape
	open  func(name string) Sink

	input  float64 // s₁: factor on the input norm, taken back from all but the latent
	rows   float64 // s₂: factor on the latent rows
	upFix  float64 // what rounding took from kv_a_layernorm, given to kv_b
	queryA float64 // factor on q_a
	qFix   float64 // the same as upFix for the query

	constant []float64 // [d]: what the attention adds whatever it attends to
}

// tensor writes one tensor of the given width through fill.
func (w *deepseekWriter) tensor(name string, width int, fill func(*rowWriter) error) error {
	return writeTensor(w.open(name), width, fill)
}

// norms writes the norms and fixes the factors that make them linear.
//
// RMSNorm(c) = c/√(mean c² + ε)·w is c/√ε·w for a latent small enough. The
// latent is scaled by s = s₁·s₂, powers of two, and w = √ε/s undoes it. F16
// reaches neither far enough down for all of s in the input norm nor for a
// latent as small as the other types allow: it gets both halves of a larger s.
func (w *deepseekWriter) norms() error {
	gamma, err := w.Norm()
	if err != nil {
		return err
	}
	w.input, w.rows, w.upFix = 1, 1, 1
	latent := w.open(family.KVANorm)
	square := float64(w.Rank) / float64(w.KVLoraRank) // over padding, too
	weight := math.Sqrt(square)
	if w.LatentNorm == NormLinear {
		exponent := linearExponent(w.MostLatent, w.LatentEps, latent.DType())
		rows := 0
		if latent.DType() == checkpoint.F16 {
			rows = exponent / 2
		}
		w.input, w.rows = math.Ldexp(1, exponent-rows), math.Ldexp(1, rows)
		weight, w.upFix = linearWeight(w.input*w.rows, square, w.LatentEps, latent.DType())
	}
	weights := constant(weight, w.KVLoraRank)
	if w.healed != nil {
		for k, v := range w.healed.Norm {
			weights[k] *= v
		}
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
	square, most := w.MeanInput, w.MostInput
	if w.CompressedQuery != nil {
		square, most = 1, w.MostLatent
	}
	if w.Constants != nil { // of one more channel
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

// constant returns n times v.
func constant(v float64, n int) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = v
	}
	return values
}

// query writes the query projection: per head the content query, which is the
// original one, then the rotary query. The engines divide scores by
// √(nope + rope), the source did by √D, and multiply them where frequencies are
// scaled; the queries make up for both.
func (w *deepseekWriter) query() error {
	scale := math.Sqrt(float64(w.NopeDim+w.RopeDim) / float64(w.shape.HeadDim))
	if s := w.maths.RopeScaling; s != nil {
		scale /= s.Attention * s.Attention
	}
	name, scale := family.QProj, scale/w.input
	if w.QLoraRank > 0 {
		name, scale = family.QBProj, scale*w.input*w.qFix
		if err := w.queryDown(); err != nil {
			return err
		}
	}
	width := w.shape.Hidden
	if w.QLoraRank > 0 {
		width = w.QLoraRank
	}
	return w.tensor(name, width, func(out *rowWriter) error {
		for h := range w.shape.Heads {
			content, rotary, err := w.headQuery(w.Projections, h)
			if err != nil {
				return err
			}
			content, rotary = w.withBias(h, content, rotary)
			if err := out.rows(content, scale, 1, w.NopeDim); err != nil {
				return err
			}
			if err := out.rows(rotary, scale, w.stride(), w.RopeDim); err != nil {
				return err
			}
		}
		return nil
	})
}

// queryDown writes the first half of the query's path.
func (w *deepseekWriter) queryDown() error {
	return w.tensor(family.QAProj, w.shape.Hidden, func(out *rowWriter) error {
		if w.CompressedQuery != nil {
			return out.rows(w.CompressedQuery.Down, w.queryA, 1, w.QLoraRank)
		}
		if err := out.diagonal(w.queryA); err != nil || w.Constants == nil {
			return err
		}
		return out.write(nil, 0) // the constant channel
	})
}

// down writes the latent rows over the rotary key's.
func (w *deepseekWriter) down() error {
	return w.tensor(family.KVAProj, w.shape.Hidden, func(out *rowWriter) error {
		if err := out.rows(w.Down, w.rows, 1, w.KVLoraRank); err != nil {
			return err
		}
		return out.rows(w.Rotary, 1/w.input, w.stride(), w.RopeDim)
	})
}

// up writes, for every query head, the rows that project the latent to the
// content keys of its KV head and to its values.
func (w *deepseekWriter) up() error {
	return w.tensor(family.KVBProj, w.KVLoraRank, func(out *rowWriter) error {
		for h := range w.shape.Heads {
			keys, values := w.headUp(w.shape, h)
			if err := out.rows(keys, w.upFix, 1, w.NopeDim); err != nil {
				return err
			}
			if err := out.rows(values, w.upFix, 1, w.ValueDim); err != nil {
				return err
			}
		}
		return nil
	})
}

// output writes o_proj, with columns of zeros where values are padded.
func (w *deepseekWriter) output() error {
	const rowsAtOnce = 256
	H, D := w.shape.Heads, w.shape.HeadDim
	return w.tensor(family.OProj, H*w.ValueDim, func(out *rowWriter) error {
		padded := make([]float64, H*w.ValueDim)
		for from := 0; from < w.shape.Hidden; from += rowsAtOnce {
			rows, err := outputRows(w.Projections, w.healed, from, min(from+rowsAtOnce, w.shape.Hidden))
			if err != nil {
				return err
			}
			for i := range rows.RawMatrix().Rows {
				for h := range H {
					copy(padded[h*w.ValueDim:], rows.RawRowView(i)[h*D:(h+1)*D])
				}
				if err := out.write(padded, w.Residual); err != nil {
					return err
				}
				if w.Constants != nil {
					w.constant = append(w.constant, w.Residual*w.Constants.outputConstant(w.shape, rows.RawRowView(i), from+i))
				}
			}
		}
		return nil
	})
}
