package plan

import (
	"fmt"

	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// checkMethod checks the options that go with one method alone, for a rotary key of
// dims dimensions, 0 if that is searched for.
func (o *Options) checkMethod(m *family.Model, dims int) error {
	switch {
	case o.Method != mla.MethodTransMLA && o.FreqFold > 0:
		return &UsageError{"--freq-fold goes with --method transmla", ""}
	case o.Method != mla.MethodTransMLA:
		return nil
	case o.Select != rope.BySensitivity || o.Threshold > 0:
		return &UsageError{"--rope-select and --rope-threshold do not go with --method transmla: it folds pairs and drops none", ""}
	case o.Theta != 0 && o.Theta != m.RopeTheta:
		return &UsageError{fmt.Sprintf("--method transmla keeps the source's rope_theta %.9g", m.RopeTheta), "leave --rope-theta out"}
	case dims > 0:
		return o.foldable(m, dims)
	case len(o.Splits(m)) == 0:
		return &UsageError{fmt.Sprintf("no rotary key within --cache %d goes with --freq-fold %d", o.Cache, o.FreqFold), "leave --freq-fold out"}
	default:
		return nil
	}
}

// foldable is an error if TransMLA has no rotary key of dims dimensions: its slots
// must turn as pairs do that are evenly spaced, and a block must hold whole slots.
func (o *Options) foldable(m *family.Model, dims int) error {
	if m.HeadDim%dims != 0 {
		return &UsageError{fmt.Sprintf("--rope-dims %d does not divide head_dim %d, as --method transmla needs", dims, m.HeadDim), ""}
	}
	pairs, step := m.HeadDim/2, m.HeadDim/dims
	if o.FreqFold%step != 0 || o.FreqFold > 0 && pairs%o.FreqFold != 0 {
		return &UsageError{fmt.Sprintf("--freq-fold %d must be a multiple of %d, the pairs for each of the rotary key's, and divide the %d of a head", o.FreqFold, step, pairs), ""}
	}
	return nil
}

// theta is θ' as far as the method and the options say, 0 if it is searched for.
func (o *Options) theta(m *family.Model) float64 {
	if o.Method == mla.MethodTransMLA {
		return m.RopeTheta
	}
	return o.Theta
}
