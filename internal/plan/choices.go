package plan

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/engine"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/gguf"
	"github.com/mha2mla/mha2mla/internal/heal"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// Statistics says whether a conversion has statistics of activations.
type Statistics int

// These are the states that the caller may know the statistics to be in.
const (
	Unknown Statistics = iota // nobody knows yet, so nothing is decided that depends on them
	Absent                    // there are none
	Present                   // they are there, or will be gathered
	Unmade                    // they should come from text that the model makes, and it cannot make any
)

// Data says which data a conversion has beside the weights, as far as that is known. The
// zero value says that nothing is known yet.
type Data struct {
	Statistics Statistics
	Tokens     bool // there are tokens to heal layers on, or there will be
	Windows    int  // number of windows of tokens that are at hand
}

// Choices holds all choices of one conversion of one model, except the sizes that the search
// will choose. Nobody changes them once Choose has made them.
type Choices struct {
	asked Request // the request, for those members that are used as the user gave them
	model *family.Model

	method    mla.Method
	form      layout.Form
	selected  rope.Strategy
	rankings  []rope.Ranking // [layers] from a file, which decide instead of the strategy; nil if there is none
	weights   mla.Weights
	norm      layout.LatentNorm
	qLora     layout.QLora
	bias      mla.Bias
	pad       *engine.Backend // to whose sizes the output is padded; nil if it is not
	target    engine.Engine
	heal      heal.Steps
	dtype     DTypeRule
	mostShard int64

	vocabulary gguf.Metadata // what a GGUF file says of tokens; nil if none is written

	sizes Sizes
}

// mostShard is the size in bytes of the largest shard, unless the user asks for another.
const mostShard = 5e9

// Choose makes the choices that r asks for or leaves to the program, for a conversion of m
// with the given data. Whoever knows more about the data later has the choices Learn it.
// Choose returns a UsageError for a request that makes no sense, an UnsupportedError for a
// model that cannot be converted so, and an engine.RefusedError for a result that the target
// would not load. If several errors apply, it returns the same one however much is known. It
// reads no file but the rankings that r names, and for a GGUF file the tokenizer.
func Choose(r Request, m *family.Model, d Data) (*Choices, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	c := preset(r, m)
	if err := c.padding(); err != nil {
		return nil, err
	}
	if err := c.describe(); err != nil {
		return nil, err
	}
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

// Learn returns these choices with those that depend on data, of which more is known now.
// It changes nothing else, and c not at all. It returns a UsageError for a request that makes
// no sense with such data.
func (c *Choices) Learn(d Data) (*Choices, error) {
	learned := *c
	if err := learned.learn(d); err != nil {
		return nil, err
	}
	return &learned, nil
}

// preset fills in the choices that a method implies, and the defaults of those that the
// request leaves open.
func preset(r Request, m *family.Model) *Choices {
	c := &Choices{
		asked: r, model: m,
		method: cmp.Or(r.Method, mla.MethodAttention), form: cmp.Or(r.Layout, layout.FormDeepseek),
		selected: cmp.Or(r.Select, rope.BySensitivity), weights: cmp.Or(r.Weights, mla.WeightsAttention),
		norm: cmp.Or(r.LatentNorm, layout.NormLinear), qLora: value(r.QLora), bias: cmp.Or(r.Bias, mla.BiasFold),
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
	if c.dtype == "" && m.Source.Quantised() { // its numbers are float32 here, and had 4 to 8 bits
		c.dtype = DTypeRule(checkpoint.BF16)
		if r.GGUF {
			c.dtype = DTypeRule(checkpoint.Q8_0)
		}
	}
	if c.dtype == "" && c.form != layout.FormDeepseek {
		c.dtype = keepAll // F16 is wide enough for layouts that scale nothing
	}
	if c.form == layout.FormDeepseek && c.bias == mla.BiasHF && m.Biases && c.qLora == layout.QLoraNone {
		c.qLora = layout.QLoraExact // the class adds a bias to compressed queries alone
	}
	if c.form == layout.FormDeepseek && m.WideNorms && (r.QLora == nil || *r.QLora == layout.QLoraExact) {
		c.qLora = layout.QLoraNorm
	}
	return c
}

// value returns what p points to, and the zero value if p is nil.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// aim makes the choices that follow from the target engine. It returns an error if that
// engine would load the result at no size.
func (c *Choices) aim() error {
	if c.form != layout.FormDeepseek {
		if c.asked.Target != "" {
			return Misuse("%v goes with %v: no stock engine loads another", option.Target, option.Layout.Is(layout.FormDeepseek)).Try("leave it out, or the layout")
		}
		return nil
	}
	if c.target.RunsGGUF() && c.asked.QLora == nil {
		lite := engine.Lite(c.model.Layers, c.model.Vocab)
		switch {
		case lite:
			c.qLora = layout.QLoraNone // llama.cpp does not look for compressed queries in such a model
		case c.norm == layout.NormRMS && c.qLora == layout.QLoraNone:
			c.qLora = layout.QLoraExact // it looks for q_lora_rank, which is null in what is fine-tuned elsewhere
		}
	}
	if c.oneTarget() == "" {
		return nil
	}
	return c.refusedAnyhow()
}

// oneTarget returns the one engine that the output is for; empty if it is for all engines.
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

// learn makes the choices that depend on data. Wherever there are statistics, they measure
// the loss of attention. Wherever there is text to fit them on, output projections are
// fitted.
func (c *Choices) learn(d Data) error {
	if d.Statistics == Unknown {
		return nil
	}
	if err := c.checkHealing(d); err != nil {
		return err
	}
	asked, there := c.asked.Weights, d.Statistics == Present
	switch {
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

// training returns the setting that asks for layers to be healed or trained; none if no setting
// does.
func (c *Choices) training() (asked option.Setting) {
	switch {
	case c.heal != heal.None:
		return option.Heal.Is(c.heal)
	case c.asked.Distill > 0:
		return option.Distill.Is(c.asked.Distill)
	}
	return option.Setting{}
}

// checkHealing returns an error if layers cannot be healed or trained because there are no
// tokens, or because the result keeps biases that neither knows.
func (c *Choices) checkHealing(d Data) error {
	asked := c.training()
	switch {
	case c.heal == heal.None && c.asked.HealOrder != "" && (c.asked.Heal != nil || !d.Tokens || c.method != mla.MethodAttention):
		return Misuse("%v says nothing about layers that are not healed", option.HealOrder).Try("leave it out, or ask for %v", option.Heal)
	case asked == option.Setting{}:
		return nil
	case c.bias == mla.BiasHF:
		return Misuse("%v does not go with %v", asked, option.Bias.Is(mla.BiasHF)).Try("leave %v out: it makes up for what folding biases costs", option.Bias)
	case !d.Tokens:
		return Misuse("%v needs tokens to learn from", asked).Try("name a text or a file of token ids with %v; statistics are not enough", option.Calibrate)
	default:
		return nil
	}
}

// Healable reports whether layers can be healed. They can unless the converted layers keep
// biases beside their weights, which healing does not know.
func (c *Choices) Healable() bool {
	return c.bias != mla.BiasHF && !(c.model.Biases && c.form == layout.FormReference)
}

// Method returns the way to a smaller cache.
func (c *Choices) Method() mla.Method { return c.method }

// Form returns the form in which the model is written.
func (c *Choices) Form() layout.Form { return c.form }

// Weights returns the measure of what a factorisation loses.
func (c *Choices) Weights() mla.Weights { return c.weights }

// Select returns the strategy that chooses the rotary pairs, or the name of a file of
// rankings.
func (c *Choices) Select() rope.Strategy { return c.selected }

// FreqFold returns how many pairs TransMLA folds together; 0 means as few as possible.
func (c *Choices) FreqFold() int { return c.asked.FreqFold }

// Cache returns the size of the cache that the user asks for, in floats per token and layer;
// 0 if the request names none.
func (c *Choices) Cache() int { return c.asked.Cache }

// Threshold returns the share of a layer's sensitivity that a pair must reach to keep its
// rotation (design §4); 0 if the number of pairs does not depend on shares.
func (c *Choices) Threshold() float64 { return c.asked.Threshold }

// Heal returns the steps that heal a layer after its conversion (design §9).
func (c *Choices) Heal() heal.Steps { return c.heal }

// HealOrder returns on which stream layers are healed (design §9).
func (c *Choices) HealOrder() heal.Order { return cmp.Or(c.asked.HealOrder, c.heal.Usual()) }

// Sizes returns the sizes as far as the request fixes them. The search chooses the others.
func (c *Choices) Sizes() Sizes { return c.sizes }

// Maths returns the choices about the mathematics of a layer, at the sizes s.
func (c *Choices) Maths(s Sizes) mla.Options {
	return mla.Options{
		PerHead: c.form == layout.FormReference, Method: c.method, Shrinkage: s.Shrinkage, Rank: s.Rank, RopeDims: s.RopeDims, RopeTheta: s.Theta, RopeScaling: s.Scaling, FreqFold: c.asked.FreqFold,
		Select: c.selected, Rankings: c.rankings, Threshold: c.asked.Threshold,
		Weights: c.weights, Split: c.asked.SVD == SVDSplit, QueryRank: c.qLora.Rank(), QueryNorm: c.qLora == layout.QLoraNorm, Bias: c.bias, Heal: c.heal, HealOrder: c.HealOrder(), Distill: c.asked.Distill,
	}
}
