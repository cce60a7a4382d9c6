package layout

import (
	"math"

	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/mla"
)

// deepseekWriter writes one layer.
type deepseekWriter struct {
	*Deepseek
	layer *mla.Layer
	shape family.Shape
	open  func(name string) Sink

	input  float64 // s₁: factor of the input norm, taken back from all but the latent rows
	rows   float64 // s₂: factor of the latent rows
	upFix  float64 // factor of kv_b, which makes up for the rounding of kv_a_layernorm
	queryA float64 // factor of q_a
	qFix   float64 // factor of q_b, which makes up for the rounding of q_a_layernorm

	constant []float64 // [d]: bias of the output
}

// tensor writes one tensor of the given width through fill.
func (w *deepseekWriter) tensor(name string, width int, fill func(*rowWriter) error) error {
	return writeTensor(w.open(name), width, fill)
}

// query writes the query projection: per head the content query, then the rotary query. The
// engines divide scores by √(nope + rope) where the source divided by √D, and multiply them
// by the square of yarn's attention factor. The queries make up for both (design §6).
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
			content, rotary, err := w.layer.Heads.Query(h)
			if err != nil {
				return err
			}
			content, rotary = w.withBias(h, content, rotary)
			if w.layer.QueryNorm != nil {
				out.from = h * w.shape.HeadDim // each head has its own part of the compressed query
			}
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

// queryDown writes q_a, which projects to the compressed query.
func (w *deepseekWriter) queryDown() error {
	return w.tensor(family.QAProj, w.shape.Hidden, func(out *rowWriter) error {
		if w.layer.QueryDown != nil {
			return out.rows(w.layer.QueryDown, w.queryA, 1, w.QLoraRank)
		}
		if err := out.diagonal(w.queryA); err != nil || w.layer.Constants == nil {
			return err
		}
		return out.write(nil, 0) // the weights of the constant channel are zero
	})
}

// down writes kv_a_proj_with_mqa: the latent rows, then the rotary rows.
func (w *deepseekWriter) down() error {
	return w.tensor(family.KVAProj, w.shape.Hidden, func(out *rowWriter) error {
		if err := out.rows(w.layer.Down, w.rows, 1, w.KVLoraRank); err != nil {
			return err
		}
		return out.rows(w.layer.Rotary, 1/w.input, w.stride(), w.RopeDim)
	})
}

// up writes kv_b_proj: for every query head, the rows that project the latent to the content
// keys of its KV head, then those that project it to the values.
func (w *deepseekWriter) up() error {
	return w.tensor(family.KVBProj, w.KVLoraRank, func(out *rowWriter) error {
		for h := range w.shape.Heads {
			keys, values := w.layer.Up(h)
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

// output writes o_proj, with columns of zeros where values are padded. It collects the bias
// of the output on the way.
func (w *deepseekWriter) output() error {
	const rowsAtOnce = 256
	H, D := w.shape.Heads, w.shape.HeadDim
	return w.tensor(family.OProj, H*w.ValueDim, func(out *rowWriter) error {
		padded := make([]float64, H*w.ValueDim)
		for from := 0; from < w.shape.Hidden; from += rowsAtOnce {
			rows, err := w.layer.Heads.Output(from, min(from+rowsAtOnce, w.shape.Hidden))
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
				if c := w.layer.Constants; c != nil {
					w.constant = append(w.constant, w.Residual*c.Attended(w.shape, rows.RawRowView(i), from+i))
				}
			}
		}
		return nil
	})
}
