package convert

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/fsys"
	"github.com/mha2mla/mha2mla/internal/latent"
	"github.com/mha2mla/mha2mla/internal/layout"
)

// heal betters a converted layer, or takes over what an earlier run made of it. It adds
// to what was found out about the layer. What the layer became is kept in single
// precision, which is what it was healed in: what is written may be coarser, and the
// layers after it would heal on another residual stream.
func (r *run) heal(ctx context.Context, found *layerRecord, converted layout.Converted) error {
	w, err := weightsOf(converted)
	if err != nil {
		return err
	}
	healed, err := r.healedBefore(found, w)
	if err != nil {
		return err
	}
	if found.Heal != nil {
		err = r.Healer.Pass(ctx, found.Layer, w, healed)
	} else if healed, found.Heal, err = r.Healer.Layer(ctx, found.Layer, w); err == nil && healed != nil {
		content := healed.Encode()
		found.Healed = checkpoint.DigestBytes(content)
		err = r.store.Keep(healedFile(found.Layer), content)
	}
	if err != nil || healed == nil {
		return err
	}
	return converted.(layout.Healable).Replace(healed)
}

// weightsOf returns the weights that a converted layer computes with, to be healed or trained.
func weightsOf(converted layout.Converted) (*latent.Weights, error) {
	layer, ok := converted.(layout.Healable)
	if !ok {
		return nil, errors.New("internal: there is nothing to heal in a layer without a latent")
	}
	return layer.Weights()
}

// takeHealed has a converted layer be what another process has made of it, and adds to what was found
// out about it. It is an UnfittedError if that is not there, or not as it was written; the layers
// are then fitted again.
func (r *run) takeHealed(found *layerRecord, converted layout.Converted) error {
	w, err := weightsOf(converted)
	if err != nil {
		return err
	}
	healed, err := r.healedBefore(found, w)
	switch {
	case err != nil:
		return err
	case found.Heal == nil:
		return errors.Join(&UnfittedError{r.Parts.Path()}, fsys.RemoveAll(r.Parts, fittedFile))
	case healed == nil:
		return nil
	}
	return converted.(layout.Healable).Replace(healed)
}

// store keeps what later runs, or other processes, may use.
type store interface {
	Keep(name string, content []byte) error
	Kept(name string, most int64) ([]byte, error)
}

// healedFile is the name of the file of a healed layer.
func healedFile(n int) string { return fmt.Sprintf("layer-%d", n) }

// healedBefore adds to what was found out about a layer what an earlier run has, if it
// healed the layer and the file is as it was written. It returns the weights, in the
// form of w, or nil if healing did not help.
func (r *run) healedBefore(found *layerRecord, w *latent.Weights) (*latent.Weights, error) {
	old := r.earlier[found.Layer]
	if old == nil || old.Heal == nil {
		return nil, nil
	}
	var healed *latent.Weights
	if old.Healed != "" {
		content, err := r.intact(healedFile(found.Layer), w.EncodedBytes(), old.Healed)
		if err != nil || content == nil {
			return nil, err
		}
		if healed, err = w.Decode(content); err != nil {
			return nil, err
		}
	}
	found.Heal, found.Healed = old.Heal, old.Healed
	return healed, nil
}

// intact returns the content of a file that an earlier run has kept, of at most that many bytes;
// nil if it is gone, or has another digest than it had then.
func (r *run) intact(name string, most int64, digest string) ([]byte, error) {
	content, err := r.store.Kept(name, most)
	if errors.Is(err, fs.ErrNotExist) || err == nil && checkpoint.DigestBytes(content) != digest {
		return nil, nil
	}
	return content, err
}
