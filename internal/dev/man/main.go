package main

import (
	"fmt"
	"os"
	"regexp"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/mha2mla/mha2mla/internal/cli"
)

func main() {
	if err := write(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "man:", err)
		os.Exit(1)
	}
}

func write(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: man FOLDER")
	}
	if err := os.MkdirAll(args[0], 0o777); err != nil {
		return err
	}
	root := cli.Command()
	markUp(root)
	return doc.GenManTree(root, &doc.GenManHeader{Title: "MHA2MLA", Section: "1", Manual: "mha2mla"}, args[0])
}

var (
	heading  = regexp.MustCompile(`(?m)^([A-Z][A-Z ]+)$`)
	example  = regexp.MustCompile(`(?m)^  (\S)`)
	nextPart = regexp.MustCompile(`\n\n\n+`)
)

// markUp turns the help texts of a command, and of all commands below it, into the Markdown
// that the generator reads. It marks headings and blocks of examples.
func markUp(cmd *cobra.Command) {
	cmd.DisableAutoGenTag = true
	text := heading.ReplaceAllString(cmd.Long, "\n# $1\n")
	text = example.ReplaceAllString(text, "    $1")
	cmd.Long = nextPart.ReplaceAllString(text, "\n\n")
	cmd.Example = example.ReplaceAllString(cmd.Example, "$1")
	for _, sub := range cmd.Commands() {
		markUp(sub)
	}
}
