package plan

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/mha2mla/mha2mla/internal/engine"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/heal"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// Statistics says whether a conversion has statistics of activations to go by.
type Statistics int

// What may be known of them.
const (
	Unknown Statistics = iota // nothing is decided that depends on them
	Absent
	Present // they are there, or will be gathered
	Unmade  // they were to be of text that the model makes, and it cannot make any
)

// Data is what a conversion has to go by beside the weights, as far as that is known. The
// zero value says that nothing is known yet.
type Data struct {
	Statistics Statistics
	Tokens     bool // there are tokens to heal layers on, or there will be
	Windows    int  // windows of tokens that are at hand
}

// Choices are the choices of one conversion of one model, but for the sizes that are searched
// for. Nobody changes them once Choose has made them.
type Choices struct {
	asked Request // for what is taken as it was said
	model *family.Model

	method    mla.Method
	form      layout.Form
	selected  rope.Strategy
	rankings  []rope.Ranking // [layers] that decide in its place; nil: none
	weights   mla.Weights
	norm      layout.LatentNorm
	qLora     layout.QLora
	bias      mla.Bias
	pad       bool
	target    engine.Engine
	heal      heal.Steps
	dtype     DTypeRule
	mostShard int64

	sizes Sizes
}

// mostShard is the size of the largest shard unless another is asked for, in bytes.
const mostShard = 5e9

// Choose makes the choices that r asks for or leaves to the program, for a conversion of m
// with the given data. It is asked again once more is known of the data: then what depends on
// them is decided, too, and nothing else changes. Errors say what cannot be meant, cannot be
// converted, or would not be loaded; they come in the same order however much is known. Of
// files it reads none but the rankings that r names.
func Choose(r Request, m *family.Model, d Data) (*Choices, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	c := preset(r, m)
	if err := c.aim(); err != nil {
		return nil, err
	}
	if err := c.readRankings(); err != nil {
		return nil, err
	}
	if err := c.learn(d); err != nil {
		return nil, err
	}
	var err error
	c.sizes, err = c.sized()
	return c, err
}

// preset fills in what a method stands for and what is done without a word.
func preset(r Request, m *family.Model) *Choices {
	c := &Choices{
		asked: r, model: m,
		method: cmp.Or(r.Method, mla.MethodAttention), form: cmp.Or(r.Layout, layout.FormDeepseek),
		selected: cmp.Or(r.Select, rope.BySensitivity), weights: cmp.Or(r.Weights, mla.WeightsAttention),
		norm: cmp.Or(r.LatentNorm, layout.NormLinear), qLora: value(r.QLora), bias: cmp.Or(r.Bias, mla.BiasFold), pad: value(r.PadToKernel),
		target: cmp.Or(r.Target, engine.All), heal: value(r.Heal),
		dtype: r.DType, mostShard: cmp.Or(r.MaxShard, mostShard),
	}
	switch c.method {
	case mla.MethodMHA2MLA:
		c.form, c.selected, c.weights = cmp.Or(r.Layout, layout.FormReference), cmp.Or(r.Select, rope.ByNorm), cmp.Or(r.Weights, mla.WeightsNone)
	case mla.MethodTransMLA:
		c.weights = mla.WeightsBalanced
	case mla.MethodGroupedMean:
		c.form = layout.FormGrouped
	}
	if c.dtype == "" && c.form != layout.FormDeepseek {
		c.dtype = keepAll // this layout has no reason to turn F16 into BF16
	}
	if c.form == layout.FormDeepseek && c.bias == mla.BiasHF && m.Biases && c.qLora == layout.QLoraNone {
		c.qLora = layout.QLoraExact // the class has biases on no query but a compressed one
	}
	return c
}

// value is what p points to, or zero.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// aim makes the choices that follow from the engine asked for. It refuses what that engine
// would not load, whatever the sizes.
func (c *Choices) aim() error {
	if c.form != layout.FormDeepseek {
		if c.asked.Target != "" {
			return Misuse("%v goes with %v: no stock engine loads another", option.Target, option.Layout.Is(layout.FormDeepseek)).Try("leave it out, or the layout")
		}
		return nil
	}
	if c.target == engine.LlamaCPP && c.asked.QLora == nil && !engine.Lite(c.model.Layers, c.model.Vocab) {
		c.qLora = layout.QLoraExact // it knows no other way to the query
	}
	if c.oneTarget() == "" {
		return nil
	}
	return c.refusedAnyhow()
}

// oneTarget is the engine that the output is for; empty if it is for all of them.
func (c *Choices) oneTarget() engine.Engine {
	if c.target == engine.All {
		return ""
	}
	return c.target
}

// readRankings reads the file of rankings, if the request names one.
func (c *Choices) readRankings() (err error) {
	path := string(c.selected)
	if !strings.HasSuffix(path, rankSuffix) {
		return nil
	}
	c.selected = rope.Strategy(filepath.Base(path))
	c.rankings, err = family.ReadRankings(path, c.model)
	if errors.Is(err, fs.ErrNotExist) {
		return Misuse("%v: there is no such file", option.RopeSelect.Is(fmt.Sprintf("%q", path))).Try("name a strategy, or a file of the reference's 2-norm ranks")
	}
	return err
}

// learn makes the choices that depend on data: attention is measured by statistics wherever
// there are any, and output projections are fitted where there is text to fit them on.
func (c *Choices) learn(d Data) error {
	if d.Statistics == Unknown {
		return nil
	}
	if err := c.checkHealing(d); err != nil {
		return err
	}
	switch asked, there := c.asked.Weights, d.Statistics == Present; {
	case d.Statistics == Unmade:
		c.weights = mla.WeightsAttention
	case !there && asked == mla.WeightsCalibrated:
		return Misuse("%v needs statistics", option.Weights.Is(mla.WeightsCalibrated)).Try("name them with %v, or a text with %v", option.Stats, option.Calibrate)
	case there && asked == mla.WeightsAttention:
		return Misuse("%v is for conversions without statistics", option.Weights.Is(mla.WeightsAttention)).Try("with statistics it is called calibrated")
	case there && c.weights == mla.WeightsAttention:
		c.weights = mla.WeightsCalibrated
	}
	if c.asked.Heal == nil && d.Windows >= 2 && c.method == mla.MethodAttention && c.Healable() {
		c.heal = heal.Output
	}
	return nil
}

// checkHealing refuses to heal without tokens, and where there are biases that no weight
// stands for.
func (c *Choices) checkHealing(d Data) error {
	switch {
	case c.heal == heal.None:
		return nil
	case c.bias == mla.BiasHF:
		return Misuse("%v does not go with %v", option.Heal.Is(c.heal), option.Bias.Is(mla.BiasHF)).Try("leave %v out: healing makes up for what folding biases costs", option.Bias)
	case !d.Tokens:
		return Misuse("%v needs tokens to heal on", option.Heal.Is(c.heal)).Try("name a text or a file of token ids with %v; statistics are not enough", option.Calibrate)
	default:
		return nil
	}
}

// Healable reports whether weights alone say what converted layers compute, and no biases
// do that no weight stands for.
func (c *Choices) Healable() bool {
	return c.bias != mla.BiasHF && !(c.model.Biases && c.form == layout.FormReference)
}

// Method is the way to a smaller cache.
func (c *Choices) Method() mla.Method { return c.method }

// Form is the form in which the model is written.
func (c *Choices) Form() layout.Form { return c.form }

// Weights is the measure of loss.
func (c *Choices) Weights() mla.Weights { return c.weights }

// Select is the strategy that chooses the rotary pairs, or the name of a file of rankings.
func (c *Choices) Select() rope.Strategy { return c.selected }

// FreqFold is how many pairs of TransMLA fold together; 0: as few as possible.
func (c *Choices) FreqFold() int { return c.asked.FreqFold }

// Cache is the size of the cache that was asked for, in floats per token and layer; 0: none
// was.
func (c *Choices) Cache() int { return c.asked.Cache }

// Threshold is the share of the sensitivity from which pairs keep their rotation; 0: their
// number does not depend on it.
func (c *Choices) Threshold() float64 { return c.asked.Threshold }

// Heal is how layers are bettered after their conversion.
func (c *Choices) Heal() heal.Steps { return c.heal }

// Sizes are the sizes as far as the request says them.
func (c *Choices) Sizes() Sizes { return c.sizes }

// Maths returns the choices about the mathematics of a layer of the given sizes.
func (c *Choices) Maths(s Sizes) mla.Options {
	return mla.Options{
		PerHead: c.form == layout.FormReference, Method: c.method, Shrinkage: s.Shrinkage, Rank: s.Rank, RopeDims: s.RopeDims, RopeTheta: s.Theta, RopeScaling: s.Scaling, FreqFold: c.asked.FreqFold,
		Select: c.selected, Rankings: c.rankings, Threshold: c.asked.Threshold,
		Weights: c.weights, Split: c.asked.SVD == SVDSplit, QueryRank: c.qLora.Rank(), Bias: c.bias, Heal: c.heal,
	}
}
