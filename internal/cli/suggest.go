package cli

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// aliases are other names that people type for flags: those of papers and of
// configurations. An underscore stands for a hyphen in any.
var aliases = map[string]string{
	"d-kv":             "dkv",
	"qk-rope-head-dim": "rope-dims",
	"rope-head-dim":    "rope-dims",
	"q-lora-rank":      "q-lora",
	"max-shard":        "max-shard-size",
	"ids":              "tokens",
}

// normalise turns a name that somebody typed into that of the flag.
func normalise(f *pflag.FlagSet, name string) pflag.NormalizedName {
	plain := []byte(name)
	for i, c := range plain {
		if c == '_' {
			plain[i] = '-'
		}
	}
	if flag, ok := aliases[string(plain)]; ok {
		return pflag.NormalizedName(flag)
	}
	return pflag.NormalizedName(plain)
}

// unknownFlag names the flag that was meant, if one is near.
func unknownFlag(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err
	}
	name, best, least := unknown.GetSpecifiedName(), "", 3
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if d := distance(name, f.Name); d < least && d < len(name) {
			best, least = f.Name, d
		}
	})
	tip := fmt.Sprintf("see %s --help", cmd.CommandPath())
	if best != "" {
		tip = fmt.Sprintf("did you mean --%s?", best)
	}
	return &usageError{what: err.Error(), tip: tip}
}

// unknownCommand refuses arguments of the root, and names the command that was
// meant, if one is near.
func unknownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	tip := fmt.Sprintf("see %s --help", root.CommandPath())
	if near := root.SuggestionsFor(args[0]); len(near) > 0 {
		tip = fmt.Sprintf("did you mean %s?", near[0])
	}
	return &usageError{what: fmt.Sprintf("unknown command %q", args[0]), tip: tip}
}

// distance is the number of characters to insert, remove, replace or swap with
// their neighbour that turns a into b (optimal string alignment).
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = slices.Min([]int{last[j] + cost, last[j+1] + 1, row[j] + 1})
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
