package convert

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/latent"
	"github.com/mha2mla/mha2mla/internal/layout"
)

// distil converts all layers, has them trained together, and then writes them. A layer is
// converted once more to be written, because the closed forms of all layers, with what is known
// of them, would take the memory that training needs.
func (r *run) distil(ctx context.Context) error {
	trained, all := make([]*latent.Layer[float32], r.Source.Layers), r.allLayers()
	err := r.each(ctx, all, func(ctx context.Context, n int) error {
		layer, err := r.converted(ctx, n)
		if err != nil {
			return err
		}
		w, err := weightsOf(layer)
		if err == nil {
			trained[n] = latent.New[float32](w)
		}
		return err
	})
	if err != nil {
		return err
	}
	r.Distiller.Keeper = (*keeper)(r)
	r.result.Distilling, err = r.Distiller.Train(ctx, trained)
	if err != nil {
		return err
	}
	return r.each(ctx, all, func(_ context.Context, n int) error { return r.writeTrained(n, trained[n]) })
}

// writeTrained writes layer n as it was trained, unless an earlier run has.
func (r *run) writeTrained(n int, trained *latent.Layer[float32]) error {
	if r.keptLayer(n) {
		return nil
	}
	layer, err := r.closed(n)
	if err != nil {
		return err
	}
	w, err := weightsOf(layer)
	if err != nil {
		return err
	}
	if err := layer.(layout.Healable).Replace(trained.Weights(w)); err != nil {
		return err
	}
	return r.writeLayer(n, layer)
}

// trainingRecord says that the state of a training is kept.
type trainingRecord struct {
	Step    int      `json:"step"`
	Digests []string `json:"sha256"` // of the files of all layers
}

// keeper keeps the state of a training beside the output that a run makes.
type keeper run

// trainingFile is the name of the file of the state of a layer. States that follow each other
// are in files of other names, so that one of them is whole at any time.
func trainingFile(states, n int) string { return fmt.Sprintf("training-%d-%d", states%2, n) }

// Keep keeps the state of all layers after that many steps.
func (k *keeper) Keep(step int, state func(n int) []byte) error {
	now := &trainingRecord{Step: step}
	for n := range k.Source.Layers {
		content := state(n)
		now.Digests = append(now.Digests, checkpoint.DigestBytes(content))
		if err := k.out.Keep(trainingFile(k.states, n), content); err != nil {
			return err
		}
	}
	k.states++
	if err := k.journal.Add(record{Training: now}); err != nil {
		return err
	}
	return k.journal.Sync()
}

// Kept returns the state of all layers that an earlier run has kept last, if it is as it was
// written.
func (k *keeper) Kept(sizes []int64) (step int, states [][]byte, err error) {
	if k.earlierState == nil || len(k.earlierState.Digests) != len(sizes) {
		return 0, nil, nil
	}
	for n, size := range sizes {
		content, err := k.out.Kept(trainingFile(k.states-1, n), size)
		if errors.Is(err, fs.ErrNotExist) || err == nil && checkpoint.DigestBytes(content) != k.earlierState.Digests[n] {
			return 0, nil, nil
		}
		if err != nil {
			return 0, nil, err
		}
		states = append(states, content)
	}
	return k.earlierState.Step, states, nil
}
