package convert

import (
	"context"
	"fmt"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/latent"
	"github.com/mha2mla/mha2mla/internal/layout"
)

// distil converts all layers, has them trained together, and then writes them. A layer is
// converted once more to be written, because the closed forms of all layers, with what is known
// of them, would take the memory that training needs.
func (r *run) distil(ctx context.Context) error {
	trained, all := make([]*latent.Layer[float32], r.Source.Layers), r.allLayers()
	err := r.each(ctx, all, r.Healer, func(ctx context.Context, n int) error {
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
	return r.each(ctx, all, nil, func(_ context.Context, n int) error { return r.writeTrained(n, trained[n]) })
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

// trainingRecord says that the state of a training is kept. States that follow each other are in
// two sets of files by turns, so that one of them is whole at any time.
type trainingRecord struct {
	Step    int      `json:"step"`
	Set     int      `json:"set"`    // 0 or 1
	Digests []string `json:"sha256"` // of the files of all layers
}

// keeper keeps the state of a training beside the output that a run makes.
type keeper run

// file is the name of the file of the state of layer n.
func (t *trainingRecord) file(n int) string { return fmt.Sprintf("training-%d-%d", t.Set, n) }

// Keep keeps the state of all layers after that many steps.
func (k *keeper) Keep(step int, state func(n int) []byte) error {
	now := &trainingRecord{Step: step}
	if k.trained != nil {
		now.Set = 1 - k.trained.Set
	}
	for n := range k.Source.Layers {
		content := state(n)
		now.Digests = append(now.Digests, checkpoint.DigestBytes(content))
		if err := k.out.Keep(now.file(n), content); err != nil {
			return err
		}
	}
	k.trained = now
	return k.ledger.note(record{Training: now}, true)
}

// Kept returns the state of all layers that an earlier run has kept last, if it is as it was
// written.
func (k *keeper) Kept(sizes []int64) (step int, states [][]byte, err error) {
	last := k.trained
	if last == nil || len(last.Digests) != len(sizes) {
		return 0, nil, nil
	}
	for n, size := range sizes {
		content, err := (*run)(k).intact(last.file(n), size, last.Digests[n])
		if err != nil || content == nil {
			return 0, nil, err
		}
		states = append(states, content)
	}
	return last.Step, states, nil
}
