package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "write: usage: write KIND DIR")
		os.Exit(2)
	}
	if err := write(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "write:", err)
		os.Exit(1)
	}
}

// vocab is the size of the vocabulary, and written is the number of token ids that are
// written.
const (
	vocab   = 128
	written = 2048
)

// write creates a folder, writes a model of a kind to it, and writes token ids beside it.
func write(kind, dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	ids, err := json.Marshal(testmodel.Tokens(written, vocab, 1))
	if err != nil {
		return err
	}
	if err := os.WriteFile(dir+".ids.json", ids, 0o666); err != nil {
		return err
	}
	return testmodel.Llama{Kind: kind, Bias: 0.1, Vocab: vocab}.WriteTo(dir)
}
