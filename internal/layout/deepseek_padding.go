package layout

import (
	"fmt"
	"math"

	"github.com/mha2mla/mha2mla/internal/engine"
)

// PadToKernel enlarges the sizes that are written to those of the smallest GPU kernel that
// holds them (design §3). It is an error if none does.
func (d *Deepseek) PadToKernel() error {
	kernels := engine.Kernels()
	for _, k := range kernels {
		if d.Rank <= k.Rank && d.RopeDims <= k.RopeDims && d.NopeDim <= engine.KernelHeadDim {
			d.KVLoraRank, d.RopeDim, d.NopeDim, d.ValueDim = k.Rank, k.RopeDims, engine.KernelHeadDim, engine.KernelHeadDim
			return nil
		}
	}
	largest := kernels[len(kernels)-1]
	return fmt.Errorf("no kernel holds kv_lora_rank %d, rope-dims %d and head_dim %d: the largest takes %d, %d and %d",
		d.Rank, d.RopeDims, d.NopeDim, largest.Rank, largest.RopeDims, engine.KernelHeadDim)
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
