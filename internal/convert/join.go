package convert

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/fault"
	"github.com/mha2mla/mha2mla/internal/fsys"
	"github.com/mha2mla/mha2mla/internal/manifest"
	"github.com/mha2mla/mha2mla/internal/plan"
)

// MissingError says which shards no part has made.
type MissingError struct {
	Plan   *plan.Plan
	Shards []int // indices, in ascending order
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("%d of %d files are missing, %q first", len(e.Shards), len(e.Plan.Shards), e.Plan.Shards[e.Shards[0]].File)
}

// Kind says that it may succeed later.
func (e *MissingError) Kind() fault.Kind { return fault.Again }

// Missing lists the shards of p that no part has made yet.
func Missing(p *plan.Plan, parts *checkpoint.Parts) (missing []int, err error) {
	for i, s := range p.Shards {
		there, err := fsys.Exists(parts, unitFile(s.File))
		if err != nil {
			return nil, err
		}
		if !there {
			missing = append(missing, i)
		}
	}
	return missing, nil
}

// joiningLedger is the ledger of a run that joins the shards which parts have made.
type joiningLedger struct {
	wholeLedger
	parts *checkpoint.Parts
}

// begin moves the shards to the output. A shard that is not as its record says loses the record,
// so that a part makes it again. It is a MissingError then.
func (l *joiningLedger) begin(ctx context.Context, r *run) error {
	// With a journal, the next run keeps what this one has moved if it is cut short.
	if err := l.start([]record{{Begin: r.begin}}); err != nil {
		return err
	}
	var files []string
	var missing []int
	for i, s := range r.shards {
		whole, err := l.take(ctx, r, s.file)
		if err != nil {
			return err
		}
		if whole {
			files = append(files, s.file)
			continue
		}
		missing = append(missing, i)
		if err := fsys.RemoveAll(l.parts, unitFile(s.file)); err != nil {
			return err
		}
	}
	if err := l.out.Retain(files); err != nil || len(missing) == 0 {
		return err
	}
	return &MissingError{r.Plan, missing}
}

// take moves a shard to the output, takes over what was found out about its layers, and reports
// whether it is whole.
func (l *joiningLedger) take(ctx context.Context, r *run, file string) (whole bool, err error) {
	u, err := readUnit(l.parts, file)
	if u == nil {
		return false, err
	}
	if err := r.begin.planned(u.Begin); err != nil {
		return false, err
	}
	if err := l.parts.Give(file, l.out); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return false, err
	}
	for _, found := range u.Layers {
		if found.Layer >= 0 && found.Layer < len(r.earlier) {
			r.earlier[found.Layer] = found
		}
	}
	return l.adopt(ctx, r, u.Shard)
}

// joinedFile is the file in the folder of the parts that has the digest of the manifest of the
// output, from the moment on when the output may appear.
const joinedFile = "joined"

// Joined reports whether the output at path was joined of these parts, and is published.
func Joined(path string, parts *checkpoint.Parts) (bool, error) {
	digest, err := fsys.ReadFile(parts, joinedFile, 1<<10)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	m, err := manifest.Read(path)
	if errors.Is(err, fs.ErrNotExist) || m == nil {
		return false, nil
	}
	return m.SHA == string(digest), err
}
