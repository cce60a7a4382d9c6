package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
)

// convert measures whole conversions of 2, 4 and 8 layers of the shape of Llama-3-8B, with
// reading, copying and writing. It compares one of them with the arithmetic alone of the
// published conversion.
func (b *bench) convert() error {
	for _, layers := range []int{2, 4, 8} {
		shape := testmodel.Llama{
			Hidden: 4096, Intermediate: 14336, Layers: layers, Heads: 32, KVHeads: 8, HeadDim: 128, Vocab: 1000, DType: checkpoint.BF16,
		}
		against, theirs := "", peer("", nil)
		if layers == 4 {
			against, theirs = "MHA2MLA's SVD, torch, float32", peer(b.python, func() (usage, error) {
				n := strconv.Itoa(runtime.GOMAXPROCS(0))
				u, _, err := told(nil, b.python, filepath.Join(b.scripts, "reference.py"), strconv.Itoa(layers), n)
				return u, err
			})
		}
		work := fmt.Sprintf("convert, %d layers of Llama-3-8B, data-free", layers)
		if err := b.conversions(work, shape, against, func(string) func() (usage, error) { return theirs }); err != nil {
			return err
		}
	}
	return nil
}

// carry compares the conversion of a checkpoint of which nearly all is copied with copies of
// the file. One is that of cp, which does not wait until the bytes are on the disk. The
// other waits for that, as a conversion does.
func (b *bench) carry() error {
	shape := testmodel.Llama{
		Hidden: 1024, Intermediate: 32768, Layers: 8, Heads: 8, KVHeads: 1, HeadDim: 64, Vocab: 1000, Eps: 1e-6, DType: checkpoint.BF16,
	}
	for _, after := range []string{"", " && sync"} {
		err := b.conversions("convert, nearly all of 1.6 GB copied", shape, "cp"+after, func(dir string) func() (usage, error) {
			return func() (usage, error) {
				to := filepath.Join(dir, "copy")
				defer os.Remove(to)
				script := `cp "$0" "$1"`
				if after != "" {
					script += after + ` "$1"`
				}
				return command("sh", "-c", script, filepath.Join(dir, checkpoint.SingleFile), to)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// conversions makes a model, and compares its conversion with the other side.
func (b *bench) conversions(work string, shape testmodel.Llama, against string, theirs func(dir string) func() (usage, error)) error {
	if b.program == "" {
		return nil
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := shape.WriteTo(dir); err != nil {
		return err
	}
	out := filepath.Join(dir, "out")
	return duel{
		work: work, against: against, rounds: min(b.rounds, 3), theirs: theirs(dir),
		ours: func() (usage, error) {
			defer os.RemoveAll(out)
			return command(b.program, "convert", "--quiet", "--calibrate", "none", dir, out)
		},
	}.fight()
}
