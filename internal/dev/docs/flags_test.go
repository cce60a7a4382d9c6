package docs

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"testing"
)

// flag matches what looks like a flag on a command line.
var flag = regexp.MustCompile(`(^|[^-\w])--([a-z][a-z0-9-]+)`)

// foreign lists flags of other programs, which packages below the command line may name.
var foreign = []string{"dtype bfloat16", "attention-backend"}

// TestFlags: no package below the command line names one of its flags. They speak of options
// by values, which the command line puts into words.
func TestFlags(t *testing.T) {
	for name, s := range sources(t) {
		if s.test || s.pkg == "cli" || regexp.MustCompile(`^(cmd|dev|fastblas/gen)(/|$)`).MatchString(s.pkg) {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			isForeign := func(words string) bool { return regexp.MustCompile(`--` + words).MatchString(text) }
			if flag.MatchString(text) && !slices.ContainsFunc(foreign, isForeign) {
				t.Errorf("%s names a flag in %q, want an option.Option", name, text)
			}
			return true
		})
	}
}
