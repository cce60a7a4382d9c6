package convert

import (
	"context"
	"errors"
	"fmt"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/fault"
	"github.com/mha2mla/mha2mla/internal/heal"
	"github.com/mha2mla/mha2mla/internal/journal"
	"github.com/mha2mla/mha2mla/internal/plan"
)

// fittedFile is the record in the folder of the parts that says that all layers are healed.
const fittedFile = "fitted"

// fitted is what healing all layers has won.
type fitted struct {
	Begin *fingerprint `json:"begin"`
	Won   *heal.Won    `json:"won"`
}

// layerUnit is a layer that is healed. Its weights are in a file of their own.
type layerUnit struct {
	Begin *fingerprint `json:"begin"`
	Layer *layerRecord `json:"layer"`
}

// UnfittedError says that layers are not healed yet.
type UnfittedError struct{ Folder string }

func (e *UnfittedError) Error() string {
	return fmt.Sprintf("the layers in %q are not fitted yet", e.Folder)
}

// Kind says that it may succeed later.
func (e *UnfittedError) Kind() fault.Kind { return fault.Again }

// Hint says what to do about the error.
func (e *UnfittedError) Hint() string { return "let part fit end first" }

// Fit heals all layers of p, but those that are healed already, and leaves them in the folder of the
// parts, for Part to write. It is a PlanError if p is not what was announced there.
func Fit(ctx context.Context, p *plan.Plan, o Options) error {
	r := newRun(p, o, &fitLedger{partLedger: partLedger{parts: o.Parts}})
	r.store = o.Parts
	if err := r.identify(ctx); err != nil {
		return err
	}
	if err := errors.Join(r.makeShards(ctx), r.abandon()); err != nil {
		return err
	}
	won, err := r.Healer.Won()
	if err == nil {
		err = r.unchanged()
	}
	if err != nil {
		return err
	}
	return journal.Publish(o.Parts, fittedFile, fitted{r.begin, won})
}

// Fitted returns what healing all layers of these parts has won; nil if they are not healed yet.
func Fitted(parts *checkpoint.Parts) (*heal.Won, error) {
	f, err := journal.ReadOne[fitted](parts, fittedFile)
	if f == nil {
		return nil, err
	}
	return f.Won, nil
}

// fitLedger is the ledger of a run that heals layers, and writes no shard.
type fitLedger struct {
	partLedger
	of *fingerprint // that the layers belong to
}

// begin leaves all shards alone, and takes over the layers that are healed.
func (l *fitLedger) begin(_ context.Context, r *run) error {
	l.of = r.begin
	for _, s := range r.shards {
		s.elsewhere = true
	}
	if err := r.readLayers(); err != nil {
		return err
	}
	return l.checkSpace(r)
}

// note publishes what was found out about a layer, after its weights.
func (l *fitLedger) note(rec record, _ bool) error {
	return journal.Publish(l.parts, layerFile(rec.Layer.Layer), layerUnit{l.of, rec.Layer})
}

// layerFile is the name of the record of a layer that is healed.
func layerFile(n int) string { return unitFile(healedFile(n)) }

// readLayers takes over what was found out about the layers that are healed. It is a PlanError if
// one belongs to another plan.
func (r *run) readLayers() error {
	for n := range r.earlier {
		u, err := journal.ReadOne[layerUnit](r.Parts, layerFile(n))
		if err != nil {
			return err
		}
		if u == nil || u.Begin == nil || u.Layer == nil || u.Layer.Layer != n {
			continue
		}
		if err := r.begin.planned(u.Begin); err != nil {
			return err
		}
		r.earlier[n] = u.Layer
	}
	return nil
}
