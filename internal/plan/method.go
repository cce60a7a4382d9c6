package plan

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// SVD says whether keys and values are factored together, in the mha2mla layout.
type SVD string

// The two ways of the paper.
const (
	SVDJoint SVD = "joint"
	SVDSplit SVD = "split"
)

// Preset makes the choices that the method is a name for, but for those that the
// user has made: given reports whether a flag was.
func (o *Options) Preset(given func(flag string) bool) error {
	switch o.Method {
	case mla.MethodMHA2MLA:
		if !given("layout") {
			o.Layout = layout.FormReference
		}
		if !given("rope-select") {
			o.Select = rope.ByNorm
		}
		if !given("weights") {
			o.Weights = mla.WeightsNone
		}
	case mla.MethodTransMLA:
		for _, flag := range []string{"layout", "weights"} {
			if given(flag) {
				return &UsageError{fmt.Sprintf("--%s does not go with --method %s, which has its own", flag, o.Method), "leave it out"}
			}
		}
		o.Weights = mla.WeightsBalanced
	case mla.MethodGroupedMean:
		for _, flag := range []string{"layout", "svd", "rope-theta", "rope-scaling", "rope-select", "rope-threshold", "weights", "latent-norm", "q-lora", "bias", "pad-to-kernel", "heal"} {
			if given(flag) {
				return &UsageError{fmt.Sprintf("--%s says nothing about --method %s, which has no latent", flag, o.Method), ""}
			}
		}
	}
	return nil
}

// checkForm refuses options that the layout has no use for.
func (o *Options) checkForm() error {
	reference := o.Form() == layout.FormReference
	for _, c := range []struct {
		asked bool
		flag  string
	}{
		{o.Theta != 0, "--rope-theta"}, {o.Scaling != "", "--rope-scaling"}, {o.Threshold != 0, "--rope-threshold"}, {o.PadToKernel, "--pad-to-kernel"},
		{o.QLora != layout.QLoraNone, "--q-lora"}, {o.Bias == mla.BiasHF, "--bias hf"}, {o.LatentNorm == layout.NormRMS, "--latent-norm rms"},
	} {
		if c.asked && reference {
			return &UsageError{c.flag + " goes with --layout deepseek", "leave it out, or the layout"}
		}
	}
	if o.SVD != "" && !reference {
		return &UsageError{fmt.Sprintf("--svd %s goes with --layout mha2mla", o.SVD), "the deepseek layout has one latent for keys and values"}
	}
	return nil
}

// rankSuffix ends the names of files of rankings.
const rankSuffix = ".pth"

// ParseSelect parses the value of --rope-select: a strategy, or a file of
// rankings, whose name then stands for it.
func ParseSelect(text string) (rope.Strategy, error) {
	var names []string
	for _, s := range rope.Strategies() {
		if names = append(names, string(s)); string(s) == text {
			return s, nil
		}
	}
	if strings.HasSuffix(text, rankSuffix) && len(text) > len(rankSuffix) {
		return rope.Strategy(text), nil
	}
	return "", fmt.Errorf("%q is not one of %s, nor a FILE%s", text, strings.Join(names, ", "), rankSuffix)
}

// ReadRankings reads the file of rankings that --rope-select names, if it does.
func (o *Options) ReadRankings(m *family.Model) (err error) {
	if !strings.HasSuffix(string(o.Select), rankSuffix) {
		return nil
	}
	o.Rankings, err = family.ReadRankings(string(o.Select), m)
	if errors.Is(err, fs.ErrNotExist) {
		return &UsageError{fmt.Sprintf("--rope-select %q: there is no such file", string(o.Select)), "name a strategy, or a file of the reference's 2-norm ranks"}
	}
	o.Select = rope.Strategy(filepath.Base(string(o.Select)))
	return err
}
