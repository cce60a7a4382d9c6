package convert

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/fsys"
	"github.com/mha2mla/mha2mla/internal/journal"
	"github.com/mha2mla/mha2mla/internal/plan"
)

// Share is one of several shares of the shards of a plan.
type Share struct{ Number, Of int }

// Has reports whether shard i of p belongs to the share. Shards of a share follow each other, and
// all shares have about as many bytes.
func (s Share) Has(p *plan.Plan, i int) bool {
	before := int64(0)
	for _, shard := range p.Shards[:i] {
		before += shard.Bytes
	}
	middle := float64(before) + float64(p.Shards[i].Bytes)/2
	return int(middle/float64(p.Bytes)*float64(s.Of)) == s.Number
}

// Part makes those shards of p that belong to a share and that no part has made yet. It leaves
// them in the folder of the parts, for Run to join. It returns how many it has made. It is a
// PlanError if p is not what was announced there.
func Part(ctx context.Context, p *plan.Plan, o Options, share Share) (made int, err error) {
	l := &partLedger{parts: o.Parts, share: share}
	r := newRun(p, o, l)
	r.store = o.Parts
	if err := r.identify(ctx); err != nil {
		return 0, err
	}
	if err := errors.Join(r.makeShards(ctx), r.abandon()); err != nil {
		return 0, err
	}
	return l.made, r.unchanged()
}

// partLedger is the ledger of a part.
type partLedger struct {
	parts *checkpoint.Parts
	share Share
	made  int // under the mutex of the run
}

// begin leaves shards of other shares alone, and those that are there already.
func (l *partLedger) begin(_ context.Context, r *run) error {
	for i, s := range r.shards {
		there, err := fsys.Exists(l.parts, unitFile(s.file))
		if err != nil {
			return err
		}
		s.elsewhere = there || !l.share.Has(r.Plan, i)
	}
	if r.Lesson != nil {
		if err := r.readLayers(); err != nil {
			return err
		}
	}
	return l.checkSpace(r)
}

// checkSpace makes sure that there is room for what the run is to write.
func (l *partLedger) checkSpace(r *run) error {
	need, err := r.room()
	if err != nil {
		return err
	}
	return l.parts.CheckSpace(need)
}

// create opens a file of this process's own.
func (l *partLedger) create(file string) (fsys.File, error) {
	return l.parts.Create(l.parts.Draft(file))
}

// note does nothing: what is worth knowing is put down with a shard.
func (*partLedger) note(record, bool) error { return nil }

// shard publishes a shard and then its record. If another process was faster, both have made
// the same.
func (l *partLedger) shard(r *run, done *shardRecord) error {
	other, err := readUnit(l.parts, done.File)
	if err != nil {
		return err
	}
	if other != nil && !reflect.DeepEqual(other.Shard.Digests, done.Digests) {
		return fmt.Errorf("internal: the file %q is not the same as another process has made it", done.File)
	}
	if err := l.parts.Publish(done.File); err != nil {
		return err
	}
	r.mu.Lock()
	l.made++
	r.mu.Unlock()
	return journal.Publish(l.parts, unitFile(done.File), unit{Begin: r.begin, Layers: r.layersIn(done.File), Shard: done})
}

// close does nothing: the folder of the parts is the caller's.
func (*partLedger) close() error { return nil }

// layersIn returns what was found out about the layers that have tensors in a shard.
func (r *run) layersIn(file string) (layers []*layerRecord) {
	seen := make(map[int]bool)
	for _, t := range r.Tensors {
		if n, ok := r.layerOf(t); ok && r.Shards[t.Shard].File == file && !seen[n] {
			seen[n] = true
			found := r.result.Layers[n]
			layers = append(layers, &layerRecord{LayerResult: found, Ranking: found.Ranking})
		}
	}
	return layers
}
