package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// takes makes a command take the named arguments, all of them files or folders,
// no more and no fewer.
func takes(cmd *cobra.Command, names ...string) {
	cmd.Args = exactly(names...)
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) < len(names) {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeFlags tells shells what the flags of a command take: words, files, or
// what nobody can complete.
func completeFlags(cmd *cobra.Command) {
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		words, directive := []string(nil), cobra.ShellCompDirectiveNoFileComp
		if c, ok := f.Value.(interface{ Choices() []string }); ok {
			words = c.Choices()
		}
		if usage := strings.ToUpper(f.Usage); strings.Contains(usage, "FILE") { // or a file
			directive = cobra.ShellCompDirectiveDefault
		}
		// an error means that there is one already
		cmd.RegisterFlagCompletionFunc(f.Name, cobra.FixedCompletions(words, directive)) //nolint:errcheck
	})
	for _, sub := range cmd.Commands() {
		completeFlags(sub)
	}
}

// addCompletion adds the command that writes completions, one for each shell,
// with help like that of the others.
func addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	all, _, err := root.Find([]string{"completion"})
	if err != nil || all == root {
		panic("cli: cobra has no completion") // there are other commands to complete
	}
	all.Short = "Write completions for a shell"
	all.Long = strings.TrimSpace(all.Long)
	all.Example = "  mha2mla completion bash >/etc/bash_completion.d/mha2mla"
	for _, shell := range all.Commands() {
		shell.Long = strings.TrimSpace(shell.Long)
		shell.Example = fmt.Sprintf("  mha2mla completion %s >FILE", shell.Name())
	}
}
