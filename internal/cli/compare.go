package cli

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/mha2mla/mha2mla/internal/study"
)

// compareTokens is how many tokens methods are compared on unless others are asked
// for.
const compareTokens = "16384"

// printComparison prints the table for people.
func printComparison(w io.Writer, r *study.Comparison) error {
	fmt.Fprintf(w, "KL(source‖converted) on %d tokens; the source's cache has %d floats per token and layer\n\n", r.Tokens, r.Source)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "cache\tmethod\tKL\tsame next token\tfloats\tsetting\n")
	for _, row := range r.Results {
		if !row.Works {
			fmt.Fprintf(t, "%d\t%s\t\t\t\t%s\n", row.Cache, row.Method, row.Setting)
			continue
		}
		fmt.Fprintf(t, "%d\t%s\t%.4f\t%.1f %%\t%d\t%s\n", row.Cache, row.Method, row.KL, 100*row.Top1, row.Floats, row.Setting)
	}
	return t.Flush()
}
