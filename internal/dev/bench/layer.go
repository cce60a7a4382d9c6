package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/forward"
)

// layer compares how long a layer of the decoder takes with torch.
func (b *bench) layer() error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	shape := testmodel.Llama{Hidden: 2048, Intermediate: 8192, Layers: 1, Heads: 32, KVHeads: 8, HeadDim: 64, Vocab: 1000}
	layer, err := readLayer(dir, shape)
	if err != nil {
		return err
	}
	for _, cores := range cores() {
		err := duel{
			work: "forward, 4096 tokens, layer of a 1B, processors: " + strconv.Itoa(cores), against: "torch, float32", rounds: min(b.rounds, 3),
			ours: func() (usage, error) {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
				return best(func() { runLayer(layer, shape.Hidden) })
			},
			theirs: peer(b.python, func() (usage, error) {
				u, _, err := told(threads(cores), b.python, filepath.Join(b.scripts, "layer.py"), strconv.Itoa(cores))
				return u, err
			}),
		}.fight()
		if err != nil {
			return err
		}
	}
	return nil
}

// readLayer makes a model in dir and reads its first layer.
func readLayer(dir string, shape testmodel.Llama) (*forward.Layer, error) {
	if err := shape.WriteTo(dir); err != nil {
		return nil, err
	}
	src, err := checkpoint.Open(dir)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	m, err := family.Read(src, "")
	if err != nil {
		return nil, err
	}
	return forward.Decoder{Model: m}.Layer(0)
}

// runLayer runs a layer on 4096 tokens.
func runLayer(layer *forward.Layer, hidden int) {
	x := f32.New(4096, hidden)
	for i := range x.Data {
		x.Data[i] = float32(i%1021)/1021 - 0.5
	}
	layer.Forward(x) //nolint:errcheck // it has no experts that would be read
}
