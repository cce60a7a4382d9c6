package layout

import (
	"fmt"
	"math"

	"github.com/mha2mla/mha2mla/internal/engine"
)

// PadTo enlarges the sizes that are written, for a model with that many query heads, to the
// smallest that a backend takes (design §3). It is an error if none of them is large enough.
func (d *Deepseek) PadTo(b engine.Backend, queries int) error {
	padded, ok := b.Pad(d.MLA, queries)
	if !ok {
		return fmt.Errorf("%s takes no sizes as large as kv_lora_rank %d, rope-dims %d and head_dim %d with %d heads", b.Name, d.Rank, d.RopeDims, d.NopeDim, queries)
	}
	d.MLA = padded
	return nil
}

// stride returns the distance of the slots in the padded rotary key.
func (d *Deepseek) stride() int { return d.RopeDim / d.RopeDims }

// WrittenTheta returns the rope_theta at which every stride-th slot of the padded rotary key
// turns as the slots of the unpadded one do at theta (design §3).
func (d *Deepseek) WrittenTheta(theta float64) float64 {
	if d.RopeDim == d.RopeDims {
		return theta
	}
	return math.Pow(theta, float64(d.RopeDim)/float64(d.stride()*d.RopeDims))
}
