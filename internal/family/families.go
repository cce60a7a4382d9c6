package family

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mha2mla/mha2mla/internal/option"
)

// Family is a kind of model that the program knows, with the names that configurations
// give it.
type Family struct {
	Type   string      `json:"model_type"`
	Class  string      `json:"class"`  // the class of Transformers that runs it
	Models string      `json:"models"` // published models of the family
	Target string      `json:"target"` // the class that runs what is converted, see Model.Deepseek
	Exact  Exactness   `json:"-"`      // whether anything is lost beside what the sizes cost
	How    option.Text `json:"-"`      // what the conversion does where the family differs from the canonical decoder

	// read fills the model from the configuration and notes where the family keeps its
	// weights. An error other than UnsupportedError says that the content of the
	// configuration is wrong.
	read func(*fields, *Model) error
}

// Exactness says whether a conversion keeps what the models of a family compute, beside what
// the rank and the rotary key cost. A scaling of RoPE is no part of it.
type Exactness int

// The ways in which it may.
const (
	Exact         Exactness = iota
	ExactlyBiased           // where biases stay biases; those that are folded are approximated
	Approximated            // norms on queries and keys become linear
)

// Text says it in a word or two.
func (e Exactness) Text() option.Text {
	switch e {
	case ExactlyBiased:
		return option.Textf("with %v", option.Bias.Is("hf"))
	case Approximated:
		return option.Plain("no")
	}
	return option.Plain("yes")
}

// Families lists the families that can be converted.
func Families() []Family {
	all := []Family{llama, mistral, qwen2, qwen3, phi3, internlm2, granite, graniteHybrid, gemma, smollm3, glm, ernie45, helium, seedOSS, exaone, minicpm, internlm, internlm3, aquila, xverse, mimo, glmMoE, dots1, solarOpen, deepseekMoE, mixtral, qwen3MoE, graniteMoE, olmoe, minimaxM2}
	for i := range all {
		all[i].Target = cmp.Or(all[i].Target, DeepseekClass)
	}
	return all
}

// lookup finds the family of a model_type; nil if the program knows none.
func lookup(kind string) *Family {
	all := append(Families(), deepseek, deepseekV2)
	i := slices.IndexFunc(all, func(f Family) bool { return f.Type == kind })
	if i < 0 {
		return nil
	}
	return &all[i]
}

// refusal returns the error that says why the program cannot convert models of a type
// that is no known family.
func refusal(config *Config, kind, name string) error {
	for _, r := range Refusals() {
		if slices.Contains(r.Types, kind) {
			return &UnsupportedError{fmt.Sprintf("models of type %q (%q) cannot be converted: %s", kind, name, r.Why), r.Tip}
		}
	}
	if config.Has("kv_lora_rank") {
		return alreadyMLA(name)
	}
	var known []string
	for _, f := range Families() {
		known = append(known, f.Type)
	}
	return &UnsupportedError{fmt.Sprintf("models of type %q (%q) are not supported", kind, name), "supported: " + strings.Join(known, ", ") + "; see mha2mla families"}
}
