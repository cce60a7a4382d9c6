package testmodel

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
)

// Stock is a checkpoint that a class of Transformers has made, with the logits that the same
// class computes: testdata/stock/make.py says how.
type Stock struct {
	Name   string // which begins with the model_type
	Dir    string
	Tokens []int
	Logits []float32 // [tokens × vocabulary]
}

// EachStock runs a test for every stock checkpoint. Root is the path to the root of the
// repository.
func EachStock(t *testing.T, root string, test func(t *testing.T, s Stock)) {
	t.Helper()
	const suffix = ".safetensors"
	folder := filepath.Join(root, "testdata", "stock")
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), suffix)
		if !ok {
			continue
		}
		t.Run(name, func(t *testing.T) {
			test(t, readStock(t, Stock{Name: name, Dir: filepath.Join(folder, name)}, filepath.Join(folder, e.Name())))
		})
	}
}

// readStock fills in the tokens and the logits from a file.
func readStock(t *testing.T, s Stock, path string) Stock {
	t.Helper()
	src, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	read := func(name string) []float32 {
		tensor := src.Lookup(name)
		values := make([]float32, tensor.Elements())
		if err := checkpoint.Read(tensor, 0, values); err != nil {
			t.Fatal(err)
		}
		return values
	}
	for _, id := range read("tokens") {
		s.Tokens = append(s.Tokens, int(id))
	}
	s.Logits = read("logits")
	return s
}

// Off returns how far logits are from those of the stock class: the largest difference,
// relative to 1 + |v| of each of the latter, v.
func (s Stock) Off(logits []float32) float64 {
	worst := 0.0
	for i, v := range s.Logits {
		worst = max(worst, math.Abs(float64(logits[i])-float64(v))/(1+math.Abs(float64(v))))
	}
	return worst
}
