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

// These are the engines that the package knows, and the word that stands for all of them.
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

// Choices lists every value that the user may give as a target.
func Choices() []Engine { return append(All.Each(), All) }

// LatentEps returns the ε that an engine uses in the norms of latents of a model whose
// other norms have normEps. Transformers has a fixed one there, and all others take
// normEps.
func (e Engine) LatentEps(normEps float64) float64 {
	if e == HF {
		return family.LatentEps
	}
	return normEps
}

// Artifact is a checkpoint as a loader sees it.
type Artifact struct {
	Config   *family.Config
	Tensors  []checkpoint.Spec
	Files    []string // names beside the weights; nil where they are not known
	Lone     bool     // the checkpoint is a file and no folder
	Unmarked string   // path of a safetensors file without the format in its metadata; empty if all have it
}

// Class returns the class that the configuration names first; empty if it names none.
func (a *Artifact) Class() string { return read(a).class }

// Finding says which rule a checkpoint breaks in an engine, and how.
type Finding struct {
	Rule  string
	Fatal bool // the engine does not load the checkpoint, or misreads it
	What  string
	Do    option.Text // what the user can do; may be empty
}

// Verdict says whether an engine loads a checkpoint as what it is, and what it finds in it.
type Verdict struct {
	Engine   Engine
	Loads    bool
	Findings []Finding // the fatal ones first
}

// Judge returns the verdict of each of the engines on a, in their order.
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

// RefusedError says that an engine for which the user converts would not load the result.
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
