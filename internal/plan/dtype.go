package plan

import (
	"fmt"
	"strings"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
)

// DTypeRule says which type a float tensor is written as: a type, or empty to
// keep the source's, except that F16 becomes BF16: F16 reaches neither far
// enough down for the linear latent norm nor up for the queries beside it.
type DTypeRule checkpoint.DType

// keepAll keeps the source's type whatever it is: F16 is no worse than it was in
// a layout that scales nothing.
const keepAll DTypeRule = "keep"

// Word is what ParseDType reads as the rule; empty for what is done without a word.
func (r DTypeRule) Word() string {
	if r == keepAll {
		return ""
	}
	return strings.ToLower(string(r))
}

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

// torchName is what configurations call a type.
var torchName = map[checkpoint.DType]string{
	checkpoint.F64: "float64", checkpoint.F32: "float32", checkpoint.BF16: "bfloat16", checkpoint.F16: "float16",
}
