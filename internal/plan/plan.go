package plan

import (
	"slices"
	"strings"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/engine"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/gguf"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/option"
)

// Plan says everything that a conversion will write. Its fields are the members of the JSON
// output.
type Plan struct {
	Input     string        `json:"input"`
	Output    string        `json:"output"`
	Source    *family.Model `json:"source"`
	Target    *family.Model `json:"target"`
	Method    mla.Method    `json:"method"`
	Engine    engine.Engine `json:"engine,omitempty"`    // the engine that the output is for; empty if no stock engine loads it
	Theta     *float64      `json:"rope_theta"`          // θ' before padding; null if the search chooses it
	Shrinkage float64       `json:"shrinkage,omitempty"` // η of the statistics, see Sizes
	Cache     Cache         `json:"cache"`
	Residual  float64       `json:"residual_scale"` // factor of the residual stream
	Bytes     int64         `json:"bytes"`          // size of all tensors
	Tensors   []Tensor      `json:"tensors"`
	Shards    []Shard       `json:"shards"`
	Others    []string      `json:"other_files"`
	Dropped   []string      `json:"dropped,omitempty"`  // tensors of the source that have no place in the output
	Clamp     bool          `json:"clamp,omitempty"`    // values that do not fit their type become its largest
	LeftOut   LeftOut       `json:"left_out"`           // files of the source that are not copied
	Warnings  []string      `json:"warnings,omitempty"` // about files

	Whole      bool          `json:"-"` // the output is a directory
	Companions []string      `json:"-"` // those of Others that are copied from the source
	Folder     string        `json:"-"` // the folder that the files go to
	Layout     layout.Layout `json:"-"`
	RankFile   string        `json:"-"` // the one of Others that holds the ranking of rotary pairs
	Manifest   string        `json:"-"` // the one of Others that says what was written
	Keys       gguf.Metadata `json:"-"` // of a GGUF file; nil if the output is none
	Modelfile  string        `json:"-"` // the one of Others that tells Ollama of a GGUF file; empty if there is none
	Maths      mla.Options   `json:"-"`
	DType      DTypeRule     `json:"-"`
	Config     []byte        `json:"-"`

	choices *Choices
	sizes   Sizes
	listed  []checkpoint.Spec // the tensors as a directory has them, by which engines are judged
}

// Cache is the size of the KV cache in floats per token and layer.
type Cache struct {
	Before int     `json:"before_floats"`
	After  int     `json:"after_floats"`
	Saving float64 `json:"saving"`
}

// Action says where the data of a tensor come from.
type Action string

// These are the actions.
const (
	Copy    Action = "copy"    // the source's bytes
	Convert Action = "convert" // the source's values in another type or times a factor
	Compute Action = "compute" // the conversion of a layer
	Zero    Action = "zero"    // nothing: all values are zero
)

// Tensor is one tensor to be written.
type Tensor struct {
	checkpoint.Spec
	Action Action  `json:"action"`
	From   string  `json:"from,omitempty"`   // name in the source
	Factor float64 `json:"factor,omitempty"` // multiplies the values, for Convert
	Shift  float64 `json:"shift,omitempty"`  // is added before the factor multiplies, for Convert
	Shard  int     `json:"shard"`            // index into the shards

	Weight  *family.Weight   `json:"-"` // the weight that is copied, for Copy and Convert; Factor contains its factor
	Experts []*family.Weight `json:"-"` // those of all experts, one after the other; nil: Weight alone
	Layer   int              `json:"-"` // the layer whose conversion computes the tensor, for Compute

	// Precision is a type that has the numbers as fine as those are among which the tensor stands:
	// layouts choose factors by it. It is DType but in GGUF files, whose vectors are F32 in any case.
	Precision checkpoint.DType `json:"-"`
}

// Weights lists the weights that a tensor is copied or converted from, one after the other.
func (t Tensor) Weights() []*family.Weight {
	if t.Experts != nil || t.Weight == nil {
		return t.Experts
	}
	return []*family.Weight{t.Weight}
}

// Shard is one file of weights to be written.
type Shard struct {
	File    string `json:"file"`
	Bytes   int64  `json:"bytes"`   // size of its tensors
	Tensors int    `json:"tensors"` // number of its tensors
}

// New plans the conversion to out that the choices ask for, at the given sizes. All sizes
// but Theta must be known. It returns an error if the sizes cannot be written, or if the one
// engine that the output is for would not load it.
func New(out string, c *Choices, s Sizes) (*Plan, error) {
	m := c.model
	p := &Plan{Input: m.Source.Path, Output: out, Source: m, Method: c.method, DType: c.dtype, Clamp: c.asked.Clamp, choices: c, sizes: s}
	p.Maths, p.Shrinkage = c.Maths(s), s.Shrinkage
	if s.Theta > 0 && c.form == layout.FormDeepseek {
		p.Theta = &s.Theta
	}
	folder, file := Place(out)
	p.Folder, p.Whole = folder, file == ""
	var err error
	if p.Layout, err = c.layout(s, rankFile(out, p.Whole)); err != nil {
		return nil, err
	}
	if c.form == layout.FormDeepseek {
		p.Engine = c.target
	}
	p.Residual = p.Layout.ResidualScale()
	p.Target = p.Layout.Target(m)
	if p.Target.PerHead != nil {
		p.RankFile = p.Target.PerHead.RankFile
	}
	p.Config = p.configure().Bytes()
	p.Cache = Cache{Before: m.CacheFloats(), After: p.Target.CacheFloats()}
	p.Cache.Saving = 1 - float64(p.Cache.After)/float64(p.Cache.Before)
	p.listTensors()
	if c.asked.GGUF {
		if err := p.formGGUF(); err != nil {
			return nil, err
		}
	}
	p.shard(c.mostShard)
	if err := p.countable(); err != nil {
		return nil, err
	}
	p.Warnings = append(p.Warnings, m.Notes...)
	if err := p.listOthers(); err != nil {
		return nil, err
	}
	return p, p.refuse()
}

// PerRank compares the caches on each of several ranks of tensor parallelism.
func (p *Plan) PerRank(ranks int) *family.RankCache {
	cached := p.DType.of(p.dtype(family.KProj))
	if p.Keys != nil {
		cached = checkpoint.F16 // in llama.cpp, whatever its weights are
	}
	return family.PerRank(ranks, p.Source, p.Target, cached.Size())
}

// Words returns the settings that make the plan again, see Choices.Words.
func (p *Plan) Words(data ...option.Setting) []option.Setting {
	return p.choices.Words(p.sizes, data...)
}

// configure makes the configuration of the output.
func (p *Plan) configure() *family.Config {
	c := p.Layout.Configure(p.Source, p.Target)
	name := torchName[p.DType.of(p.dtype(family.QProj))]
	for _, key := range []string{"torch_dtype", "dtype"} {
		if c.Has(key) {
			c.Set(key, name)
		}
	}
	odd := c.Constants()
	if len(odd) > 0 {
		c.Delete(odd...)
		p.warn("the configuration has NaN or Infinity, which JSON has not, in %s: not carried over", strings.Join(odd, ", "))
	}
	return c
}

// dtype returns the type of a tensor in the first layer of the source.
func (p *Plan) dtype(name string) checkpoint.DType {
	return p.Source.Weight(family.InLayer(0, name)).DType()
}

// listTensors lists the tensors of the output in the order of their names.
func (p *Plan) listTensors() {
	replaced := make(map[string]bool)
	for n := range p.Source.Layers {
		for _, t := range p.Source.AttentionTensors() {
			replaced[family.InLayer(n, t.Name)] = true
		}
		for _, t := range p.Target.AttentionTensors() {
			like, computed := p.Layout.TypedAs(t.Name)
			if !computed {
				delete(replaced, family.InLayer(n, t.Name))
				continue
			}
			dtype := p.DType.of(p.Source.Weight(family.InLayer(n, like)).DType())
			spec := checkpoint.Spec{Name: family.InLayer(n, t.Name), DType: dtype, Shape: t.Shape}
			p.Tensors = append(p.Tensors, Tensor{Spec: spec, Action: Compute, Layer: n})
		}
	}
	tied := p.Source.TiedHead && !p.Layout.OwnHead()
	for _, w := range p.Source.Weights() {
		switch {
		case replaced[w.Name]:
		case w.Name == family.Head && tied:
		case w.Name == family.Embedding || family.Returns(w.Name): // they write to the residual stream
			p.carry(w, p.Residual)
		case w.Name == family.FinalNorm && tied:
			p.carry(w, 1/p.Residual) // the head behind it is the embedding, which has the factor of the stream
		default:
			p.carry(w, 1)
		}
	}
	p.addZeros()
	for _, t := range p.Source.Others() {
		p.carry(family.Whole(t), 1)
	}
	for _, t := range p.Source.Source.Tensors() {
		if p.Source.Dropped(t.Name) {
			p.Dropped = append(p.Dropped, t.Name)
		}
	}
	slices.SortFunc(p.Tensors, func(a, b Tensor) int { return strings.Compare(a.Name, b.Name) })
	for i, t := range p.Tensors {
		p.Tensors[i].Precision = t.DType
		p.Bytes += t.Bytes()
		p.listed = append(p.listed, t.Spec)
	}
}

// addZeros lists the tensors of MLPs that the target has and the source has not: they are zero.
func (p *Plan) addZeros() {
	if p.Source.MoE == nil || p.Target.MoE.Shared == p.Source.MoE.Shared {
		return
	}
	for n := p.Source.MoE.First; n < p.Source.Layers; n++ {
		dtype := p.DType.of(p.Source.Weight(family.InLayer(n, family.OfExpert(0, family.UpProj))).DType())
		for _, t := range p.Target.MLPTensors(n) {
			if name := family.InLayer(n, t.Name); p.Source.Weight(name) == nil {
				p.Tensors = append(p.Tensors, Tensor{Spec: checkpoint.Spec{Name: name, DType: dtype, Shape: t.Shape}, Action: Zero})
			}
		}
	}
}

// carry adds a weight of the source, times a factor, to the output.
func (p *Plan) carry(w *family.Weight, factor float64) {
	spec := checkpoint.Spec{Name: w.Name, DType: p.DType.of(w.DType()), Shape: w.Shape}
	if strings.HasSuffix(w.Name, family.RouterBias) {
		spec.DType = w.DType() // engines hold it in single precision, because experts differ little in it
	}
	out := Tensor{Spec: spec, Action: Copy, From: w.Stored(), Weight: w}
	factor *= w.Factor
	if out.DType != w.DType() || factor != 1 || w.Shift != 0 {
		out.Action, out.Factor, out.Shift = Convert, factor, w.Shift
	}
	p.Tensors = append(p.Tensors, out)
}
