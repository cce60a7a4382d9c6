package plan

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/engine"
	"github.com/mha2mla/mha2mla/internal/export"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/gguf"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/option"
)

// ggufEnd is how the name of a GGUF file ends.
const ggufEnd = ".gguf"

// isGGUF reports whether an output of such a name is a GGUF file.
func isGGUF(out string) bool { return strings.EqualFold(filepath.Ext(out), ggufEnd) }

// Container names the format of the files of weights.
func (p *Plan) Container() string {
	if p.Keys != nil {
		return "GGUF"
	}
	return "safetensors"
}

// For returns the request as it is for an output of such a name: that of a GGUF file asks for
// one, and for llama.cpp if it names no engine.
func (r Request) For(out string) Request {
	r.GGUF = isGGUF(out)
	if r.GGUF && r.Target == "" {
		r.Target = engine.LlamaCPP
	}
	return r
}

// describe reads what a GGUF file says of the source besides its sizes, if the output is such a
// file. It returns an error if the output cannot be one, or has a type that GGUF files alone
// have.
func (c *Choices) describe() (err error) {
	const other = "name an OUT that does not end in " + ggufEnd
	switch {
	case !c.asked.GGUF && c.dtype == DTypeRule(checkpoint.Q8_0):
		return Misuse("%v is for GGUF files", option.DType.Is(c.dtype.Word())).Try("name an OUT that ends in %s", ggufEnd)
	case !c.asked.GGUF:
		return nil
	case c.form != layout.FormDeepseek:
		return Misuse("a GGUF file has %v and no other", option.Layout.Is(layout.FormDeepseek)).Try(other)
	case !c.target.RunsGGUF():
		return Misuse("a GGUF file is for llama.cpp and Ollama, not for %s", c.target).Try("leave %v out, or %s", option.Target, other)
	}
	config := c.model.Config.Clone()
	config.Delete(config.Constants()...) // which are no JSON
	c.vocabulary, err = export.Vocabulary(c.model.Source, config.Bytes(), c.model.Vocab)
	return err
}

// formGGUF gives the tensors the names and types that they have in a GGUF file, puts the two
// parts of each kv_b_proj in its place, and one tensor in the place of those of all experts of a
// layer. It lists the keys of the file. It returns an error if llama.cpp has no name for a tensor.
func (p *Plan) formGGUF() (err error) {
	whole := p.Tensors
	p.Tensors, p.Bytes = nil, 0
	m, heads := p.Target.MLA, int64(p.Target.Heads)
	stacks := make(map[string]int)
	for _, t := range whole {
		keys, values, split := export.Parts(t.Name)
		stack, expert, stacked := export.OfExperts(t.Name)
		switch {
		case stacked:
			at, begun := stacks[stack]
			if !begun {
				at, stacks[stack] = len(p.Tensors), len(p.Tensors)
				p.beginStack(t, stack)
			}
			p.Tensors[at].stack(t, expert)
		case split:
			p.addGGUF(t, keys, heads, int64(m.KVLoraRank), int64(m.NopeDim))
			p.addGGUF(t, values, heads, int64(m.ValueDim), int64(m.KVLoraRank))
		case export.Derived(t.Name):
			p.Dropped = append(p.Dropped, t.Name)
		case !export.Named(t.Name):
			return unsupported("tensor %q has no place in a GGUF file", t.Name).Try("name a directory for OUT")
		default:
			p.addGGUF(t, t.Name, t.Shape...)
		}
	}
	parameters := int64(0)
	for _, t := range p.Tensors {
		parameters += t.Elements()
	}
	general, err := export.General(p.Source.Source, parameters)
	if err != nil {
		return err
	}
	most := export.Type("", []int64{1, 0}, p.DType.of(p.dtype(family.QProj))) // the type that most numbers have
	p.Keys, err = export.Metadata(p.Config, most, general, p.choices.vocabulary)
	return err
}

// beginStack adds a tensor for one projection of all experts of a layer, of which t is that of one.
func (p *Plan) beginStack(t Tensor, name string) {
	experts := p.Target.MoE.Experts
	t.Experts = make([]*family.Weight, experts)
	p.addGGUF(t, name, append([]int64{int64(experts)}, t.Shape...)...)
}

// stack puts the weight of an expert into its place. All are copied, or none is.
func (t *Tensor) stack(one Tensor, expert int) {
	t.Experts[expert] = one.Weight
	if expert == 0 {
		t.Weight, t.From = one.Weight, one.From
	}
	if t.Action == Copy && t.DType != one.Weight.DType() {
		t.Action, t.Factor = Convert, one.Weight.Factor
	}
}

// KeysOf returns the keys of one of the GGUF files. Where there are several, the first has all that
// is said of the model, and each says which it is (tools/gguf-split/gguf-split.cpp of llama.cpp,
// b11434).
func (p *Plan) KeysOf(shard int) gguf.Metadata {
	if len(p.Shards) == 1 {
		return p.Keys
	}
	part := gguf.Metadata{
		{Key: gguf.PartKey, Value: uint16(shard)},
		{Key: gguf.PartsKey, Value: uint16(len(p.Shards))},
		{Key: gguf.PartsTensorsKey, Value: int32(len(p.Tensors))},
	}
	if shard > 0 {
		return part
	}
	return slices.Concat(p.Keys, part)
}

// modelfile returns the name of the text for Ollama; empty if the model is split, which Ollama
// does not load.
func (p *Plan) modelfile() string {
	if len(p.Shards) > 1 {
		return ""
	}
	return filepath.Base(checkpoint.OwnModelfile(p.Output))
}

// addGGUF adds a tensor under a name and in a shape, in the type that it has in a GGUF file.
func (p *Plan) addGGUF(t Tensor, name string, shape ...int64) {
	t.Name, t.Shape, t.DType = name, shape, export.Type(name, shape, t.DType)
	if t.Precision == checkpoint.Q8_0 {
		t.Precision = checkpoint.F32 // a factor for all of a tensor is in the scales of its blocks
	}
	if t.Action == Copy && t.DType != t.Weight.DType() {
		t.Action, t.Factor = Convert, t.Weight.Factor
	}
	p.Tensors = append(p.Tensors, t)
	p.Bytes += t.Bytes()
}
