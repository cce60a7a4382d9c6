package plan

import (
	"cmp"
	"slices"
	"strings"

	"github.com/mha2mla/mha2mla/internal/engine"
	"github.com/mha2mla/mha2mla/internal/option"
)

// refusedAnyhow returns an error if the one engine that the output is for would not load it
// even at the smallest sizes.
func (c *Choices) refusedAnyhow() error {
	written, err := c.layout(Sizes{Rank: 1, RopeDims: 2, Theta: c.model.RopeTheta}, "")
	if err != nil {
		return err
	}
	p := &Plan{Source: c.model, Method: c.method, DType: c.dtype, Engine: c.target, Layout: written, Target: written.Target(c.model), choices: c}
	p.listTensors()
	return p.refuse()
}

// judge returns the verdicts on the output of the engines that it is for. It returns none for
// a form that no stock engine loads.
func (p *Plan) judge() []engine.Verdict { return p.judged(p.Engine.Each()) }

// judged returns the verdicts of some engines.
func (p *Plan) judged(engines []engine.Engine) []engine.Verdict {
	if p.Target.MLA == nil {
		return nil
	}
	a := &engine.Artifact{Config: p.configure(), Files: p.Companions, Tensors: p.listed, GGUF: p.choices.asked.GGUF}
	return engine.Judge(a, engines)
}

// refuse returns an error if the one engine that the output is for would not load it.
func (p *Plan) refuse() error {
	verdicts := p.judge()
	if len(verdicts) != 1 || verdicts[0].Loads {
		return nil
	}
	return &engine.RefusedError{Engine: p.Engine, Finding: verdicts[0].Findings[0]}
}

// Loaders names those engines that the output is for and that load it.
func (p *Plan) Loaders() []string {
	var names []string
	for _, v := range p.judge() {
		if v.Loads {
			names = append(names, string(v.Engine))
		}
	}
	return names
}

// Misreaders names those of all engines that load the output and compute something else.
func (p *Plan) Misreaders() []string {
	var names []string
	for _, v := range p.judged(engine.All.Each()) {
		if v.Status() == engine.Misreads {
			names = append(names, string(v.Engine))
		}
	}
	return names
}

// Advice says which engines will not load the output as it is, and why. If the output is for
// one engine, Advice has a line for each reason. If it is for all engines, it has one line
// for all of them. That line names only what stops an engine and missing GPU kernels, the
// latter only if padding would help and still save cache.
func (p *Plan) Advice() []option.Text {
	all := p.Engine == engine.All
	var reasons []*reason
	for _, v := range p.judge() {
		for _, f := range v.Findings {
			if all && !f.Fatal && !p.slow(v.Engine, f) {
				continue
			}
			i := slices.IndexFunc(reasons, func(r *reason) bool { return r.same(f) })
			if i < 0 {
				i, reasons = len(reasons), append(reasons, &reason{Finding: f})
			}
			reasons[i].engines = append(reasons[i].engines, string(v.Engine))
		}
	}
	slices.SortStableFunc(reasons, func(a, b *reason) int {
		return cmp.Compare(a.rank(), b.rank())
	})
	var lines []option.Text
	for _, r := range reasons {
		lines = append(lines, r.advice(all))
	}
	if all && len(lines) > 1 {
		one := lines[0]
		for _, line := range lines[1:] {
			one = option.Textf("%v; %v", one, line)
		}
		return []option.Text{one}
	}
	return lines
}

// reason is a finding, with all engines that have it.
type reason struct {
	engine.Finding
	engines []string
}

// same reports whether f is the same finding.
func (r *reason) same(f engine.Finding) bool {
	return r.Rule == f.Rule && r.Fatal == f.Fatal && r.What == f.What && r.Do.String() == f.Do.String()
}

// rank orders reasons: those that stop an engine come first.
func (r *reason) rank() int {
	if r.Fatal {
		return 0
	}
	return 1
}

// advice says what the engines do with the output and what the user can do about it, or says
// it in short.
func (r *reason) advice(short bool) option.Text {
	engines := strings.Join(r.engines, ", ")
	if short && !r.Fatal {
		return option.Textf("%s has no kernel for its sizes on NVIDIA (%v)", engines, option.PadToKernel)
	}
	verb := ""
	switch {
	case r.Silent:
		verb = " will load this and compute something else"
	case r.Fatal:
		verb = " will not load this"
	}
	if r.Do.Empty() {
		return option.Textf("%s%s: %s", engines, verb, r.What)
	}
	return option.Textf("%s%s: %s; %v", engines, verb, r.What, r.Do)
}

// slow reports whether f says that no backend takes the sizes and padding to one of them would
// still save cache.
func (p *Plan) slow(e engine.Engine, f engine.Finding) bool {
	b, ok := engine.BackendFor(e)
	if f.Rule != engine.RuleKernel || !ok || f.Do.Empty() {
		return false
	}
	padded, ok := b.Pad(*p.Target.MLA, p.Target.Heads)
	return ok && padded.KVLoraRank+padded.RopeDim < p.Cache.Before
}
