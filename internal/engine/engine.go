package engine

import (
	"fmt"
	"slices"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/fault"
	"github.com/mha2mla/mha2mla/internal/option"
)

// Engine is a program that runs models.
type Engine string

// The engines, and the word that stands for all of them.
const (
	HF       Engine = "hf" // Transformers
	VLLM     Engine = "vllm"
	SGLang   Engine = "sglang"
	LlamaCPP Engine = "llama.cpp"

	All Engine = "all"
)

// Each lists the engines that e stands for.
func (e Engine) Each() []Engine {
	if e == All || e == "" {
		return []Engine{HF, VLLM, SGLang, LlamaCPP}
	}
	return []Engine{e}
}

// Choices lists every value that a target may have.
func Choices() []Engine { return append(All.Each(), All) }

// LatentEps is the ε of an engine's norms of latents, in a model whose other
// norms have the given one: Transformers has its own hard-coded.
func (e Engine) LatentEps(normEps float64) float64 {
	if e == HF {
		return family.LatentEps
	}
	return normEps
}

// Artifact is what a loader sees of a checkpoint.
type Artifact struct {
	Config   *family.Config
	Tensors  []checkpoint.Spec
	Files    []string // names beside the weights; nil where they are not known
	Lone     bool     // it is a file and no folder
	Unmarked string   // a safetensors file without the format in its metadata; empty if there is none
}

// Class is the class that the configuration names first, or empty.
func (a *Artifact) Class() string { return read(a).class }

// Finding is one thing that an engine makes of a checkpoint.
type Finding struct {
	Rule  string
	Fatal bool // it does not load, or not as what it is
	What  string
	Do    option.Text // what helps; may be empty
}

// Verdict is what becomes of a checkpoint in an engine.
type Verdict struct {
	Engine   Engine
	Loads    bool
	Findings []Finding // the fatal ones first
}

// Judge says what becomes of a in each of the engines.
func Judge(a *Artifact, engines []Engine) []Verdict {
	s := read(a)
	var verdicts []Verdict
	for _, e := range engines {
		v := Verdict{Engine: e, Loads: true}
		for _, r := range rulesFor(s) {
			if !slices.Contains(r.engines, e) {
				continue
			}
			if what, do := r.broken(s, e); what != "" {
				v.Findings = append(v.Findings, Finding{Rule: r.name, Fatal: r.fatal, What: what, Do: do})
				v.Loads = v.Loads && !r.fatal
			}
		}
		slices.SortStableFunc(v.Findings, func(a, b Finding) int {
			switch {
			case a.Fatal == b.Fatal:
				return 0
			case a.Fatal:
				return -1
			default:
				return 1
			}
		})
		verdicts = append(verdicts, v)
	}
	return verdicts
}

// RefusedError says that an engine that was asked for would not load what is to
// be written.
type RefusedError struct {
	Engine Engine
	Finding
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s would not load it: %s", e.Engine, e.What)
}

// Kind says that the model cannot be converted or loaded.
func (e *RefusedError) Kind() fault.Kind { return fault.Unsupported }

// Remedy says what to do about the error.
func (e *RefusedError) Remedy() option.Text { return e.Do }
