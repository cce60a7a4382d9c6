package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// columns is how wide help may be.
const columns = 80

// flagGroup is a part of the help: flags that people look for together.
type flagGroup struct {
	title string
	flags []string
}

// flagGroups divides the flags of all commands, so that those which everybody needs are told from
// those which few do.
func flagGroups() []flagGroup {
	return []flagGroup{
		{"SIZE", strings.Fields("cache dkv kv-lora-rank rope-dims pad-to-kernel allow-larger-cache tp cache-bits")},
		{"DATA", strings.Fields("calibrate stats tokens text add calibrate-mix made-tokens window skip-tokens max-tokens heal distill compare")},
		{"OUTPUT", strings.Fields("target dtype clamp max-shard-size bias q-lora latent-norm layout max-kl force plot logprobs markdown")},
		{"RUN", strings.Fields("config converted-config dry-run resume integrity jobs memory slurm kubernetes wait json log-format quiet verbose help version no-descriptions")},
		{"RESEARCH", strings.Fields("method weights heal-order rope-select rope-threshold rope-theta rope-scaling freq-fold svd ignore-sliding-window")},
	}
}

// printHelp writes the help of a command: how it is called, what it does, examples, its flags
// in groups, and at last its exit status.
func printHelp(w io.Writer, cmd *cobra.Command) {
	fmt.Fprintf(w, "USAGE\n  %s\n\n%s\n\nEXAMPLES\n%s\n", cmd.UseLine(), strings.TrimSpace(cmd.Long), cmd.Example)
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\nCOMMANDS\n")
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() || sub.Name() == "help" {
				fmt.Fprintf(w, "  %-12s %s\n", sub.Name(), sub.Short)
			}
		}
	}
	for _, g := range flagGroups() {
		if usages := g.of(cmd).FlagUsagesWrapped(columns); usages != "" {
			fmt.Fprintf(w, "\n%s\n%s", g.title, usages)
		}
	}
	fmt.Fprint(w, exitHelp)
}

// of returns the flags of a command that are in the group, in its order.
func (g flagGroup) of(cmd *cobra.Command) *pflag.FlagSet {
	some := pflag.NewFlagSet(g.title, pflag.ContinueOnError)
	some.SortFlags = false
	for _, name := range g.flags {
		if f := cmd.Flags().Lookup(name); f != nil && !f.Hidden {
			some.AddFlag(f)
		}
	}
	return some
}
