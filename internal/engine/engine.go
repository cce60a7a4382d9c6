package engine

import (
	"cmp"
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
	MLX      Engine = "mlx-lm"
	Ollama   Engine = "ollama"

	All Engine = "all"
)

// Each lists the engines that e stands for.
func (e Engine) Each() []Engine {
	if e == All || e == "" {
		return []Engine{HF, VLLM, SGLang, LlamaCPP, MLX, Ollama}
	}
	return []Engine{e}
}

// Choices lists every value that the user may give as a target.
func Choices() []Engine { return append(All.Each(), All) }

// LatentEps returns the ε that an engine uses in the norms of latents of a model whose
// other norms have normEps. Transformers and mlx-lm have a fixed one there, the same, and all
// others take normEps.
func (e Engine) LatentEps(normEps float64) float64 {
	if e == HF || e == MLX {
		return family.LatentEps
	}
	return normEps
}

// RunsGGUF reports whether e runs what the converter of llama.cpp makes of a checkpoint.
func (e Engine) RunsGGUF() bool { return slices.Contains(gguf, e) }

// Artifact is a checkpoint as a loader sees it.
type Artifact struct {
	Config   *family.Config
	Tensors  []checkpoint.Spec
	Files    []string          // names beside the weights; nil where they are not known
	Amiss    map[string]string // what is wrong with such files, by their names
	Code     []string          // files of code that the tokenizer names
	Lone     bool              // the checkpoint is a safetensors file and no folder
	GGUF     bool              // it is a GGUF file already
	Unmarked string            // path of a safetensors file without the format in its metadata; empty if all have it
}

// Class returns the class that the configuration names first; empty if it names none.
func (a *Artifact) Class() string { return read(a).class }

// Finding says which rule a checkpoint breaks in an engine, and how.
type Finding struct {
	Rule   string
	Fatal  bool // the engine does not load the checkpoint, or misreads it
	Silent bool // it loads it without a word, and computes something else; only if Fatal
	What   string
	Do     option.Text // what the user can do; may be empty
}

// Status says in a word or two what becomes of a checkpoint in an engine.
type Status string

// These are the statuses. One that does not load says so, and one that computes wrongly does
// not.
const (
	Loads    Status = "loads"
	Refuses  Status = "does not load"
	Misreads Status = "loads, computes wrongly"
)

// Verdict says whether an engine loads a checkpoint as what it is, and what it finds in it.
type Verdict struct {
	Engine   Engine
	Loads    bool      // as what it is
	Findings []Finding // the fatal ones first, and of those the ones at which it stops
	Backends []Fit     // of those in the engine that not every size suits
}

// Status sums up the verdict.
func (v Verdict) Status() Status {
	switch {
	case v.Loads:
		return Loads
	case v.Findings[0].Silent:
		return Misreads
	default:
		return Refuses
	}
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
				v.Findings = append(v.Findings, Finding{Rule: r.name, Fatal: r.effect != advises, Silent: r.effect == misleads, What: what, Do: do})
				v.Loads = v.Loads && r.effect == advises
			}
		}
		slices.SortStableFunc(v.Findings, func(a, b Finding) int { return cmp.Compare(a.rank(), b.rank()) })
		if s.wrong == "" {
			v.Backends = fits(s, e)
		}
		verdicts = append(verdicts, v)
	}
	return verdicts
}

// rank orders findings: what stops an engine first, and what it may be worth to know last.
func (f Finding) rank() int {
	switch {
	case !f.Fatal:
		return 2
	case f.Silent:
		return 1
	default:
		return 0
	}
}

// RefusedError says that an engine for which the user converts would not load the result.
type RefusedError struct {
	Engine Engine
	Finding
}

func (e *RefusedError) Error() string {
	if e.Silent {
		return fmt.Sprintf("%s would load it and compute something else: %s", e.Engine, e.What)
	}
	return fmt.Sprintf("%s would not load it: %s", e.Engine, e.What)
}

// Kind says that the model cannot be converted or loaded.
func (e *RefusedError) Kind() fault.Kind { return fault.Unsupported }

// Remedy says what to do about the error.
func (e *RefusedError) Remedy() option.Text { return e.Do }
