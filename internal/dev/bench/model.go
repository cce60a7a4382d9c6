package main

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/verify"
)

// smol returns a model of the shape of SmolLM2-135M, or with latent the model that it
// converts to.
func smol(latent *testmodel.Latent) testmodel.Llama {
	return testmodel.Llama{
		Hidden: 576, Intermediate: 1536, Layers: 30, Heads: 9, KVHeads: 3, HeadDim: 64, Vocab: 49152, Theta: 100000,
		DType: checkpoint.BF16, Config: map[string]any{"max_position_embeddings": 2048}, Latent: latent,
	}
}

// model compares what calibrate and verify do on a window of tokens with the forward passes
// in torch. Ours includes reading the weights.
func (b *bench) model() error {
	source, err := opened(smol(nil))
	if err != nil {
		return err
	}
	defer source.close()
	converted, err := opened(smol(&testmodel.Latent{Rank: 144, RopeDims: 48, NopeDim: 64, ValueDim: 64}))
	if err != nil {
		return err
	}
	defer converted.close()
	ctx, windows := context.Background(), [][]int{testmodel.Tokens(2048, source.Vocab, 1)}
	for _, cores := range cores() {
		for _, task := range []struct {
			name string
			run  func() error
		}{
			{"calibrate", func() error {
				return calib.Collect(ctx, source.Model, calib.Text{Kept: windows}, nil, func(int, *calib.Sums) error { return nil }, nil)
			}},
			{"verify", func() error {
				_, err := verify.Compare(ctx, source.Model, converted.Model, windows, nil)
				return err
			}},
		} {
			err := duel{
				work: task.name + ", 2048 tokens of a 135M, processors: " + strconv.Itoa(cores), against: "torch's forward passes", rounds: min(b.rounds, 3),
				ours: func() (usage, error) {
					defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
					return here(task.run)
				},
				theirs: peer(b.python, func() (usage, error) {
					u, _, err := told(threads(cores), b.python, filepath.Join(b.scripts, "model.py"), strconv.Itoa(cores), task.name)
					return u, err
				}),
			}.fight()
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// temporary is a model in a temporary folder.
type temporary struct {
	*family.Model
	dir string
}

func opened(shape testmodel.Llama) (*temporary, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	t := &temporary{dir: dir}
	if err := shape.WriteTo(dir); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	src, err := checkpoint.Open(dir)
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	if t.Model, err = family.Read(src, ""); err != nil {
		src.Close()
		os.RemoveAll(dir)
		return nil, err
	}
	return t, nil
}

func (t *temporary) close() {
	t.Source.Close()
	os.RemoveAll(t.dir)
}
