package convert

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/fault"
	"github.com/mha2mla/mha2mla/internal/journal"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/plan"
)

// announcedFile is the record in the folder of the parts that says what all parts belong to.
const announcedFile = "announced"

// announced is what all parts belong to. Statistics may be large: parts know them again without
// reading all of them, as they do the source.
type announced struct {
	Begin      *fingerprint          `json:"begin"`
	Statistics []checkpoint.Identity `json:"statistics,omitempty"`
}

// unitFile is the name of the record that says all about a shard which a part has made, and that
// it is complete.
func unitFile(shard string) string { return shard + ".done" }

// unit is a shard that a part has made.
type unit struct {
	Begin  *fingerprint   `json:"begin"`
	Layers []*layerRecord `json:"layers,omitempty"` // those that have tensors in it
	Shard  *shardRecord   `json:"shard"`
}

// readUnit reads the record of a shard; nil if there is none.
func readUnit(parts *checkpoint.Parts, shard string) (*unit, error) {
	u, err := journal.ReadOne[unit](parts, unitFile(shard))
	if u == nil || u.Begin == nil || u.Shard == nil || slices.Contains(u.Layers, nil) {
		return nil, err
	}
	return u, nil
}

// PlanError says why something does not belong to a plan.
type PlanError struct{ What option.Text }

func (e *PlanError) Error() string { return e.Text().String() }

// Text is the error, for whoever has words of his own for options.
func (e *PlanError) Text() option.Text {
	return option.Textf("this is not what was planned: %v", e.What)
}

// Kind says that what was asked for cannot be meant.
func (e *PlanError) Kind() fault.Kind { return fault.Usage }

// Hint says what to do about the error.
func (e *PlanError) Hint() string {
	return "go on as it was planned, or remove the folder of the parts and plan again"
}

// UnsearchedError says that parts have nothing to begin with yet.
type UnsearchedError struct{ Folder string }

func (e *UnsearchedError) Error() string {
	return fmt.Sprintf("what parts have in common is not found yet in %q", e.Folder)
}

// Kind says that it may succeed later.
func (e *UnsearchedError) Kind() fault.Kind { return fault.Again }

// Hint says what to do about the error.
func (e *UnsearchedError) Hint() string { return "let the search end first" }

// planned is an error if other is not of the same plan as f.
func (f *fingerprint) planned(other *fingerprint) error { return planned(f.difference(other)) }

// planned is a PlanError if there is a difference.
func planned(difference option.Text) error {
	if !difference.Empty() {
		return &PlanError{difference}
	}
	return nil
}

// Announce says in the folder of the parts what all parts of p belong to. It is a PlanError if
// they belong to another plan already.
func Announce(ctx context.Context, p *plan.Plan, o Options, parts *checkpoint.Parts) error {
	r := newRun(p, o, nil)
	if err := r.identify(ctx); err != nil {
		return err
	}
	old, err := journal.ReadOne[announced](parts, announcedFile)
	if err != nil {
		return err
	}
	if old != nil {
		return r.begin.planned(old.Begin)
	}
	statistics, err := identities(ctx, o.StatsFiles)
	if err != nil {
		return err
	}
	return journal.Publish(parts, announcedFile, announced{r.begin, statistics})
}

// recognise takes the digests of the statistics from what was announced, if they are the same, and
// is a PlanError if the run belongs to another plan.
func (r *run) recognise(ctx context.Context) error {
	all, err := journal.ReadOne[announced](r.Parts, announcedFile)
	if err != nil {
		return err
	}
	if all == nil || all.Begin == nil {
		return &UnsearchedError{r.Parts.Path()}
	}
	statistics, err := identities(ctx, r.StatsFiles)
	if err != nil {
		return err
	}
	if !slices.Equal(statistics, all.Statistics) {
		return &PlanError{option.Plain("the statistics are others")}
	}
	r.statistics = all.Begin.Statistics
	if r.begin, err = r.fingerprint(ctx); err != nil {
		return err
	}
	return r.begin.planned(all.Begin)
}

// identities tell files of statistics from others.
func identities(ctx context.Context, paths []string) (all []checkpoint.Identity, err error) {
	for _, path := range paths {
		file, err := checkpoint.Open(path)
		if err != nil {
			return nil, err
		}
		some, err := file.Identities(ctx)
		if err := errors.Join(err, file.Close()); err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}
