package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mha2mla/mha2mla/internal/engine"
)

// refusedAnyhow is an error if the one engine that the output is for would not load it even
// at the smallest sizes.
func (c *Choices) refusedAnyhow() error {
	written, err := c.layout(Sizes{Rank: 1, RopeDims: 2, Theta: c.model.RopeTheta}, "")
	if err != nil {
		return err
	}
	p := &Plan{Source: c.model, Method: c.method, DType: c.dtype, Engine: c.target, Layout: written, Target: written.Target(c.model)}
	p.listTensors()
	return p.refuse()
}

// judge asks what engines make of what is to be written. A form that no stock
// engine loads has no verdicts.
func (p *Plan) judge() []engine.Verdict {
	if p.Target.MLA == nil {
		return nil
	}
	a := &engine.Artifact{Config: p.configure(), Files: p.Companions}
	for _, t := range p.Tensors {
		a.Tensors = append(a.Tensors, t.Spec)
	}
	return engine.Judge(a, p.Engine.Each())
}

// refuse is an error if the one engine that the output is for would not load it.
func (p *Plan) refuse() error {
	verdicts := p.judge()
	if len(verdicts) != 1 || verdicts[0].Loads {
		return nil
	}
	return &engine.RefusedError{Engine: p.Engine, Finding: verdicts[0].Findings[0]}
}

// Loaders names the engines, of those that the output is for, that load it.
func (p *Plan) Loaders() []string {
	var names []string
	for _, v := range p.judge() {
		if v.Loads {
			names = append(names, string(v.Engine))
		}
	}
	return names
}

// Advice says which engines will not load the output, or not as it should be: of the
// one that it is for, a line for each reason. Of all of them together it is one line:
// what stops one, and what makes it slow if padding would help and still save cache.
func (p *Plan) Advice() []string {
	all := p.Engine == engine.All
	var reasons []engine.Finding
	names := make(map[engine.Finding][]string)
	for _, v := range p.judge() {
		for _, f := range v.Findings {
			if all && !f.Fatal && !p.slow(f) {
				continue
			}
			if !slices.Contains(reasons, f) {
				reasons = append(reasons, f)
			}
			names[f] = append(names[f], string(v.Engine))
		}
	}
	slices.SortStableFunc(reasons, func(a, b engine.Finding) int {
		return cmp.Compare(rank(a), rank(b))
	})
	var lines []string
	for _, f := range reasons {
		lines = append(lines, advice(strings.Join(names[f], ", "), f, all))
	}
	if all && len(lines) > 1 {
		return []string{strings.Join(lines, "; ")}
	}
	return lines
}

// rank puts what stops an engine first.
func rank(f engine.Finding) int {
	if f.Fatal {
		return 0
	}
	return 1
}

// advice says what engines make of the output, or in short.
func advice(engines string, f engine.Finding, short bool) string {
	if short && !f.Fatal {
		return engines + " have no GPU kernel for its sizes (--pad-to-kernel)"
	}
	verb := ""
	if f.Fatal {
		verb = " will not load this"
	}
	do := ""
	if f.Do != "" {
		do = "; " + f.Do
	}
	return fmt.Sprintf("%s%s: %s%s", engines, verb, f.What, do)
}

// slow reports whether f is a want of a GPU kernel that is worth a word.
func (p *Plan) slow(f engine.Finding) bool {
	return f.Rule == engine.RuleKernel && slices.ContainsFunc(engine.Kernels(), func(k engine.Kernel) bool {
		m := p.Target.MLA
		return m.KVLoraRank <= k.Rank && m.RopeDim <= k.RopeDims && m.NopeDim <= engine.KernelHeadDim && k.Rank+k.RopeDims < p.Cache.Before
	})
}
