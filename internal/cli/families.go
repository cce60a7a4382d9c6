package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mha2mla/mha2mla/internal/family"
)

func newFamilies() *cobra.Command {
	var markdown bool
	cmd := &cobra.Command{
		Use:   "families",
		Short: "List the models that can be converted",
		Long: `families lists the kinds of model that can be converted, by the model_type of
their config.json: the class that runs the result, whether it computes what the
source does but for what the rank and the rotary key cost, and what becomes of
what makes each different; then those that cannot be converted, and why. Nothing
is read.`,
		Example: `  mha2mla families
  mha2mla families --json`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&markdown, "markdown", false, "print the tables as Markdown")
	output := uiFlags(cmd)
	cmd.RunE = failing(func(*cobra.Command, []string) error {
		known := struct {
			Families []described      `json:"families"`
			Refused  []family.Refusal `json:"refused"`
		}{describe(family.Families()), family.Refusals()}
		return output().result(known, func(w io.Writer) error {
			if markdown {
				_, err := io.WriteString(w, familiesMarkdown())
				return err
			}
			return printFamilies(w)
		})
	})
	return cmd
}

// described is a family with what becomes of it in words of the command line. Its fields are
// JSON output.
type described struct {
	family.Family
	Exact string `json:"exact"`
	How   string `json:"what_becomes_of_it"`
}

// describe puts into words what becomes of families.
func describe(families []family.Family) (all []described) {
	for _, f := range families {
		all = append(all, described{f, f.Exact.Text().In(flagWords), f.How.In(flagWords)})
	}
	return all
}

// printFamilies prints both tables for a terminal.
func printFamilies(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range describe(family.Families()) {
		fmt.Fprintf(t, "%s\t%s\n\t%s\n\texact: %s; becomes a %s\n", f.Type, f.Models, f.How, f.Exact, f.Target)
	}
	fmt.Fprintf(t, "\nnot converted\t\n")
	for _, r := range family.Refusals() {
		fmt.Fprintf(t, "%s\t%s\n\t%s\n", r.Types[0], r.Models, r.Why)
	}
	return t.Flush()
}

// familiesMarkdown returns both tables as they stand in the README.
func familiesMarkdown() string {
	var b strings.Builder
	b.WriteString("| model_type | models | target | exact | what becomes of it |\n|---|---|---|---|---|\n")
	for _, f := range describe(family.Families()) {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", f.Type, f.Models, strings.TrimSuffix(f.Target, "ForCausalLM"), f.Exact, f.How)
	}
	b.WriteString("\n| not converted | because |\n|---|---|\n")
	for _, r := range family.Refusals() {
		fmt.Fprintf(&b, "| %s | %s |\n", r.Models, r.Why)
	}
	return b.String()
}
