package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/study"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// compareTokens is how many tokens methods are compared on unless others are asked
// for.
const compareTokens = "16384"

// runCompare compares the methods on the tokens that --compare names.
func runCompare(ctx context.Context, u *ui, o *inspectFlags, in string) (r *study.Comparison, err error) {
	m, err := openSource(in, o.config)
	if err != nil {
		return nil, err
	}
	defer m.Source.Close()
	if o.text = o.compare; tokens.HoldsIDs(o.compare) {
		o.tokens = o.compare
	}
	windows, err := o.windows(ctx, m)
	if err != nil {
		return nil, err
	}
	stats, done, err := o.open(m)
	if err != nil {
		return nil, err
	}
	defer done()
	caches := study.Caches(m)
	if o.Cache > 0 {
		caches = []int{o.Cache}
	}
	dir, err := os.MkdirTemp("", "mha2mla-compare-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	progress, finish := u.progress("comparing")
	defer finish()
	return study.Compare(ctx, mla.Input{Model: m, Stats: stats}, windows, caches, dir, progress)
}

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
