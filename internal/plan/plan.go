// Package plan decides what a conversion will write: every tensor with its type
// and shape, every file, every key of the configuration. It reads headers and
// options, never weights, so that the writer has nothing left to decide.
package plan

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/mla"
)

// Plan is what will be written. Its fields are the JSON output.
type Plan struct {
	Input    string        `json:"input"`
	Output   string        `json:"output"`
	Source   *family.Model `json:"source"`
	Target   *family.Model `json:"target"`
	Method   mla.Method    `json:"method"`
	Theta    *float64      `json:"rope_theta"` // θ' before padding; null: will be searched for
	Cache    Cache         `json:"cache"`
	Residual float64       `json:"residual_scale"` // factor of the residual stream
	Bytes    int64         `json:"bytes"`          // of all tensors
	Tensors  []Tensor      `json:"tensors"`
	Shards   []Shard       `json:"shards"`
	Others   []string      `json:"other_files"`
	Dropped  []string      `json:"dropped,omitempty"` // tensors of the source without a place

	Whole      bool          `json:"-"` // the output is a directory
	Companions []string      `json:"-"` // those of Others that are copied from the source
	Folder     string        `json:"-"` // where the files go
	Layout     *mla.Deepseek `json:"-"`
	Maths      mla.Options   `json:"-"`
	DType      DTypeRule     `json:"-"`
	Config     []byte        `json:"-"`
}

// Cache is the size of the KV cache in floats per token and layer.
type Cache struct {
	Before int     `json:"before_floats"`
	After  int     `json:"after_floats"`
	Saving float64 `json:"saving"`
}

// Action says where the data of a tensor come from.
type Action string

// The actions.
const (
	Copy    Action = "copy"    // the source's bytes
	Convert Action = "convert" // the source's values in another type or times a factor
	Compute Action = "compute" // the conversion of a layer
)

// Tensor is one tensor to be written.
type Tensor struct {
	checkpoint.Spec
	Action Action  `json:"action"`
	From   string  `json:"from,omitempty"`   // name in the source
	Factor float64 `json:"factor,omitempty"` // of Convert
	Shard  int     `json:"shard"`            // index into the shards
}

// Shard is one safetensors file to be written.
type Shard struct {
	File    string `json:"file"`
	Bytes   int64  `json:"bytes"` // of its tensors
	Tensors int    `json:"tensors"`
}

// New plans the conversion of m to out with the given options and sizes. Sizes
// must be known but for Theta.
func New(m *family.Model, out string, o Options, s Sizes) (*Plan, error) {
	p := &Plan{Input: m.Source.Path, Output: out, Source: m, Method: o.Method, DType: o.DType}
	p.Maths = o.Maths(s)
	p.Residual = o.residual(m)
	p.Layout = mla.NewDeepseek(m.Shape(), p.Maths, o.LatentNorm, p.Residual, o.QLora)
	if o.PadToKernel {
		if err := p.Layout.PadToKernel(); err != nil {
			return nil, &UsageError{"--pad-to-kernel: " + err.Error(), ""}
		}
	}
	theta := m.RopeTheta
	if s.Theta > 0 {
		p.Theta, theta = &s.Theta, p.Layout.WrittenTheta(s.Theta)
	}
	p.Target = p.target(m, theta)
	p.Config = p.configure().Bytes()
	p.Cache = Cache{Before: m.CacheFloats(), After: p.Target.CacheFloats()}
	p.Cache.Saving = 1 - float64(p.Cache.After)/float64(p.Cache.Before)
	p.listTensors()
	p.Folder, p.Whole = Place(out)
	p.shard(o.MaxShard)
	return p, p.listOthers()
}

// target describes the model that will be written.
func (p *Plan) target(m *family.Model, theta float64) *family.Model {
	t := *m
	t.Architecture = family.DeepseekClass
	t.KVHeads = m.Heads
	t.HeadDim = p.Layout.NopeDim + p.Layout.RopeDim
	t.NormEps, t.RopeTheta, t.TiedHead = mla.Eps, theta, false
	t.MLA = &p.Layout.MLA
	t.Config, t.Source = nil, nil
	return &t
}

// configure makes the configuration of the output.
func (p *Plan) configure() *family.Config {
	c := p.Layout.Configure(p.Source, p.Target.RopeTheta)
	name := torchName[p.DType.of(p.dtype(family.QProj))]
	for _, key := range []string{"torch_dtype", "dtype"} {
		if c.Has(key) {
			c.Set(key, name)
		}
	}
	return c
}

// dtype is the type of a tensor of the first layer of the source.
func (p *Plan) dtype(name string) checkpoint.DType {
	return p.Source.Source.Lookup(family.InLayer(0, name)).DType
}

// residual is the factor by which the residual stream is scaled so that an ε of
// 1e-6 means what the source's did (design §6). Types of 16 bits get a power of
// two, which keeps every mantissa.
func (o *Options) residual(m *family.Model) float64 {
	exact := math.Sqrt(mla.Eps / m.NormEps)
	names := []string{family.Embedding, family.InLayer(0, family.OProj), family.InLayer(0, family.DownProj)}
	for _, name := range names {
		if t := o.DType.of(m.Source.Lookup(name).DType); t == checkpoint.BF16 || t == checkpoint.F16 {
			return math.Exp2(math.Round(math.Log2(exact)))
		}
	}
	return exact
}

// typedAs names, for each computed tensor, the tensor of the source layer whose
// type it takes.
var typedAs = map[string]string{
	family.InputNorm: family.InputNorm, family.KVANorm: family.InputNorm, family.QANorm: family.InputNorm,
	family.QProj: family.QProj, family.QAProj: family.QProj, family.QBProj: family.QProj,
	family.KVAProj: family.KProj, family.KVBProj: family.KProj, family.OProj: family.OProj,
}

// listTensors lists the tensors of the output in the order of their names.
func (p *Plan) listTensors() {
	source := p.Source.Source
	replaced, scaled := make(map[string]bool), p.scaled()
	for n := range p.Source.Layers {
		for _, t := range p.Source.AttentionTensors() {
			replaced[family.InLayer(n, t.Name)] = true
		}
		for _, t := range p.Target.AttentionTensors() {
			like := source.Lookup(family.InLayer(n, typedAs[t.Name]))
			spec := checkpoint.Spec{Name: family.InLayer(n, t.Name), DType: p.DType.of(like.DType), Shape: t.Shape}
			p.Tensors = append(p.Tensors, Tensor{Spec: spec, Action: Compute})
		}
	}
	for _, t := range source.Tensors() {
		switch {
		case replaced[t.Name]:
		case p.Source.Dropped(t.Name):
			p.Dropped = append(p.Dropped, t.Name)
		case scaled[t.Name]:
			p.carry(t, t.Name, p.Residual)
		default:
			p.carry(t, t.Name, 1)
		}
	}
	if p.Source.TiedHead {
		p.carry(source.Lookup(family.Embedding), family.Head, 1)
	}
	slices.SortFunc(p.Tensors, func(a, b Tensor) int { return strings.Compare(a.Name, b.Name) })
	for _, t := range p.Tensors {
		p.Bytes += t.Bytes()
	}
}

// scaled names the tensors outside the attention that write to the residual
// stream.
func (p *Plan) scaled() map[string]bool {
	names := map[string]bool{family.Embedding: true}
	for n := range p.Source.Layers {
		names[family.InLayer(n, family.DownProj)] = true
	}
	return names
}

// carry adds a tensor of the source to the output under the given name.
func (p *Plan) carry(t *checkpoint.Tensor, name string, factor float64) {
	out := Tensor{Spec: checkpoint.Spec{Name: name, DType: p.DType.of(t.DType), Shape: t.Shape}, Action: Copy, From: t.Name}
	if out.DType != t.DType || factor != 1 {
		out.Action, out.Factor = Convert, factor
	}
	p.Tensors = append(p.Tensors, out)
}

// DTypeRule says which type a float tensor is written as: a type, or empty to
// keep the source's, except that F16 becomes BF16: F16 reaches neither far
// enough down for the linear latent norm nor up for the queries beside it.
type DTypeRule checkpoint.DType

// ParseDType returns the rule called name.
func ParseDType(name string) (DTypeRule, error) {
	rules := map[string]DTypeRule{"keep": "", "f32": DTypeRule(checkpoint.F32), "bf16": DTypeRule(checkpoint.BF16), "f16": DTypeRule(checkpoint.F16)}
	rule, ok := rules[name]
	if !ok {
		return "", fmt.Errorf("unknown dtype %q: it is one of keep, f32, bf16, f16", name)
	}
	return rule, nil
}

// of is the type that a tensor of type t is written as.
func (r DTypeRule) of(t checkpoint.DType) checkpoint.DType {
	switch {
	case !t.Float():
		return t
	case r != "":
		return checkpoint.DType(r)
	case t == checkpoint.F16:
		return checkpoint.BF16
	default:
		return t
	}
}

// torchName is what configurations call a type.
var torchName = map[checkpoint.DType]string{
	checkpoint.F64: "float64", checkpoint.F32: "float32", checkpoint.BF16: "bfloat16", checkpoint.F16: "float16",
}
