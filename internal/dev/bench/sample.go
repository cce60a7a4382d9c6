package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/sample"
)

// These are the number of texts that are written at the same time, and the number of tokens
// in each.
const (
	sampledTexts  = 32
	sampledTokens = 65
)

// sample compares how long the program and generate of Transformers take to write text, with
// a model of the shape of SmolLM2-135M. Both have read the weights before.
func (b *bench) sample() error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	shape := testmodel.Llama{Hidden: 576, Intermediate: 1536, Layers: 30, Heads: 9, KVHeads: 3, HeadDim: 64, Vocab: 49152}
	if err := shape.WriteTo(dir); err != nil {
		return err
	}
	g, err := readGenerator(dir)
	if err != nil {
		return err
	}
	python := b.python
	if python != "" && exec.Command(python, "-c", "import transformers").Run() != nil {
		missing("Transformers", &python)
	}
	cores := runtime.GOMAXPROCS(0)
	d := duel{
		work: fmt.Sprintf("sampling, %d × %d tokens, a model of 135M, processors: %d", sampledTexts, sampledTokens-1, cores), against: "Transformers, float32", rounds: min(b.rounds, 3),
		ours: func() (usage, error) {
			return here(func() error { return write(g) })
		},
		theirs: peer(python, func() (usage, error) {
			args := []string{filepath.Join(b.scripts, "sample.py"), dir}
			for _, n := range []int{sampledTexts, sampledTokens - 1, cores} {
				args = append(args, strconv.Itoa(n))
			}
			u, _, err := told(threads(cores), python, args...)
			return u, err
		}),
	}
	return d.fight()
}

// readGenerator reads the model in dir.
func readGenerator(dir string) (*sample.Generator, error) {
	src, err := checkpoint.Open(dir)
	if err != nil {
		return nil, err
	}
	m, err := family.Read(src, "")
	if err != nil {
		return nil, err
	}
	return sample.NewGenerator(m) // the generator reads embeddings later, so the source stays open
}

// write writes the texts. Each begins with one given token.
func write(g *sample.Generator) error {
	var prompts [][]int
	var lengths []int
	for range sampledTexts {
		prompts, lengths = append(prompts, []int{1}), append(lengths, sampledTokens)
	}
	_, err := g.Write(context.Background(), prompts, lengths, 1, nil)
	return err
}
