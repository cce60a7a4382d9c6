package plan

import (
	"fmt"
	"strings"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
)

// DTypeRule says in which type float tensors are written. It is a type, or empty. The empty
// rule keeps the source's type, but turns F16 into BF16: the range of F16 is too small both
// for the small numbers that the linear norm of the latent needs and for the large queries
// beside them (design §6).
type DTypeRule checkpoint.DType

// keepAll keeps the source's type whatever it is. In a layout that scales nothing, F16
// serves as well as in the source.
const keepAll DTypeRule = "keep"

// Word returns the word that ParseDType reads as the rule; it is empty for the rules that
// hold if the user says nothing.
func (r DTypeRule) Word() string {
	if r == keepAll {
		return ""
	}
	return strings.ToLower(string(r))
}

// ParseDType returns the rule of a name, and an error if there is none.
func ParseDType(name string) (DTypeRule, error) {
	rules := map[string]DTypeRule{"keep": "", "f32": DTypeRule(checkpoint.F32), "bf16": DTypeRule(checkpoint.BF16), "f16": DTypeRule(checkpoint.F16), "q8_0": DTypeRule(checkpoint.Q8_0)}
	rule, ok := rules[name]
	if !ok {
		return "", fmt.Errorf("unknown dtype %q: it is one of keep, f32, bf16, f16, q8_0", name)
	}
	return rule, nil
}

// of returns the type in which a tensor of type t is written.
func (r DTypeRule) of(t checkpoint.DType) checkpoint.DType {
	switch {
	case !t.Float(), r == keepAll:
		return t
	case r != "":
		return checkpoint.DType(r)
	case t == checkpoint.F16:
		return checkpoint.BF16
	default:
		return t
	}
}

// torchName holds the names that configurations have for the types.
var torchName = map[checkpoint.DType]string{
	checkpoint.F64: "float64", checkpoint.F32: "float32", checkpoint.BF16: "bfloat16", checkpoint.F16: "float16",
}
