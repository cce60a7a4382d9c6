package convert

import (
	"context"
	"errors"
	"io/fs"
	"reflect"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/fsys"
	"github.com/mha2mla/mha2mla/internal/journal"
)

// ledger is where a run puts its shards, and where it notes what is done. A whole run has an
// output and its journal, and a part of one the folder of the parts.
type ledger interface {
	// begin decides what of earlier runs, and of others beside this one, stays.
	begin(ctx context.Context, r *run) error
	// create opens the file of a shard.
	create(file string) (fsys.File, error)
	// note puts down a record; at once on the disk if it is lasting.
	note(rec record, lasting bool) error
	// shard notes that a shard is complete and on the disk, after what was found out about its
	// layers.
	shard(r *run, done *shardRecord) error
	close() error
}

// wholeLedger is the ledger of a whole run.
type wholeLedger struct {
	out     *checkpoint.Output
	journal *journal.Journal // nil until the run begins
}

// begin keeps what the journal of an earlier run says, and begins a new one.
func (l *wholeLedger) begin(ctx context.Context, r *run) error {
	records, err := l.resume(ctx, r)
	if err != nil {
		return err
	}
	need, err := r.room()
	if err != nil {
		return err
	}
	if err := l.out.CheckSpace(need); err != nil {
		return err
	}
	return l.start(records)
}

// start begins the journal with some records.
func (l *wholeLedger) start(records []record) (err error) {
	folder, name := l.out.Journal()
	l.journal, err = journal.Create(folder, name, records)
	return err
}

// resume finds out what of an earlier run can stay, and returns the records of it
// for a journal of this run. Nothing is taken on trust: a shard stays if every byte
// of it is as the journal says.
func (l *wholeLedger) resume(ctx context.Context, r *run) ([]record, error) {
	kept := []record{{Begin: r.begin}}
	folder, name := l.out.Journal()
	old, err := journal.Read[record](folder, name)
	if errors.Is(err, journal.ErrDamaged) {
		r.warn("the journal of the earlier run is damaged; starting from the beginning")
	} else if err != nil {
		return nil, err
	}
	if len(old) > 0 && old[0].Begin != nil {
		if err := r.begin.against(old[0].Begin); err != nil {
			return nil, err
		}
	} else {
		old = nil
	}
	var files []string
	for _, rec := range old {
		switch {
		case rec.Layer != nil && rec.Layer.Layer >= 0 && rec.Layer.Layer < len(r.earlier):
			r.earlier[rec.Layer.Layer] = rec.Layer
			kept = append(kept, rec)
		case rec.Training != nil:
			r.trained = rec.Training
			kept = append(kept, rec)
		case rec.Shard != nil:
			whole, err := l.adopt(ctx, r, rec.Shard)
			if err != nil {
				return nil, err
			}
			if whole {
				kept, files = append(kept, rec), append(files, rec.Shard.File)
			}
		}
	}
	return kept, l.out.Retain(files)
}

// adopt takes over a shard of an earlier run if it is whole.
func (l *wholeLedger) adopt(ctx context.Context, r *run, rec *shardRecord) (bool, error) {
	for _, s := range r.shards {
		if s.file != rec.File {
			continue
		}
		got, err := l.out.Digest(ctx, s.file)
		if errors.Is(err, fs.ErrNotExist) || errors.As(err, new(*checkpoint.FormatError)) || errors.As(err, new(*fsys.UnsafeError)) {
			return false, nil // gone, or not what a run writes
		}
		if err != nil || !reflect.DeepEqual(got, rec.Digests) {
			return false, err
		}
		s.left, s.digests, s.inputs = 0, got, rec.Inputs
		return true, nil
	}
	return false, nil
}

// create opens a file that is published with the output.
func (l *wholeLedger) create(file string) (fsys.File, error) { return l.out.Create(file) }

// note adds a record to the journal.
func (l *wholeLedger) note(rec record, lasting bool) error {
	if err := l.journal.Add(rec); err != nil || !lasting {
		return err
	}
	return l.journal.Sync()
}

// shard notes a shard in the journal.
func (l *wholeLedger) shard(_ *run, done *shardRecord) error {
	return l.note(record{Shard: done}, true)
}

// close closes the journal.
func (l *wholeLedger) close() error {
	if l.journal == nil {
		return nil
	}
	return l.journal.Close()
}

// keep leaves what was done for a later run to resume, if that is worth anything.
func (l *wholeLedger) keep(r *run) error {
	if r.trained != nil {
		return nil
	}
	for _, s := range r.shards {
		if s.digests != nil {
			return nil
		}
	}
	for _, l := range r.result.Layers {
		if l.Heal != nil {
			return nil
		}
	}
	if l.journal == nil { // what an earlier run has left was not touched
		return nil
	}
	return l.out.Forget()
}
