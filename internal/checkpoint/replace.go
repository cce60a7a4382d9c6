package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/mha2mla/mha2mla/internal/fsys"
)

// exchange is what the file commit says: which files take the place of which.
type exchange struct {
	New []string `json:"new"` // in the order in which they appear
	Old []string `json:"old"` // in the order in which they go
}

// replace sets the old files aside and gives the new ones their names. At no time
// does a loader find parts of both, and killed at any time, it leaves the old ones
// where the next run puts them back from.
func (o *Output) replace() error {
	// hours later, there may be files that were not, of another output beside this
	if err := CheckOutput(o.in, o.folder, o.names, o.whole, o.force); err != nil {
		return err
	}
	x, err := o.plan()
	if err != nil {
		return err
	}
	if err := o.announce(x); err != nil {
		return err
	}
	if err := o.exchange(x); err != nil {
		return errors.Join(err, o.undo(x))
	}
	return nil
}

// plan lists the files to be exchanged. Old ones go in the opposite order of the
// new, so that what loaders begin with is the first to go and the last to come.
func (o *Output) plan() (*exchange, error) {
	x := &exchange{New: o.names, Old: slices.Clone(o.names)}
	if o.whole {
		weights, err := weightsIn(o.folder)
		if err != nil {
			return nil, err
		}
		for _, name := range weights {
			if !slices.Contains(o.names, name) {
				x.Old = append([]string{name}, x.Old...)
			}
		}
		if i := slices.Index(x.Old, IndexFile); i >= 0 { // shards are useless without
			x.Old = append(slices.Delete(x.Old, i, i+1), IndexFile)
		}
	}
	slices.Reverse(x.Old)
	x.Old = slices.DeleteFunc(x.Old, func(name string) bool { return !exists(filepath.Join(o.folder, name)) })
	return x, nil
}

// announce writes the file commit, whole or not at all.
func (o *Output) announce(x *exchange) error {
	text, err := json.Marshal(x)
	if err != nil {
		return err
	}
	draft := o.marker() + ".draft"
	if err := fsys.WriteFile(o.fs, draft, text); err != nil {
		return err
	}
	if err := o.fs.Mkdir(o.aside()); err != nil {
		return err
	}
	if err := o.fs.Rename(draft, o.marker()); err != nil {
		return err
	}
	return o.fs.SyncFolder(o.work)
}

// exchange exchanges the files. Without the file commit, the new ones hold.
func (o *Output) exchange(x *exchange) error {
	for _, name := range x.Old {
		if err := o.fs.Rename(filepath.Join(o.folder, name), filepath.Join(o.aside(), name)); err != nil {
			return err
		}
	}
	if err := errors.Join(o.fs.SyncFolder(o.aside()), o.fs.SyncFolder(o.folder)); err != nil {
		return err
	}
	for _, name := range x.New {
		if err := o.fs.Rename(o.Staged(name), filepath.Join(o.folder, name)); err != nil {
			return err
		}
	}
	if err := o.fs.SyncFolder(o.folder); err != nil {
		return err
	}
	if err := o.fs.Remove(o.marker()); err != nil {
		return err
	}
	return o.fs.SyncFolder(o.work)
}

// undo puts everything back as it was before the exchange. It may itself be cut
// short and done again: new files go before any old one comes back.
func (o *Output) undo(x *exchange) error {
	if !exists(o.marker()) {
		return nil // done, and only the last call failed
	}
	for _, name := range x.New {
		final, staged := filepath.Join(o.folder, name), o.Staged(name)
		if !exists(staged) && exists(final) {
			if err := o.fs.Rename(final, staged); err != nil {
				return err
			}
		}
	}
	set, err := os.ReadDir(o.aside())
	if err != nil {
		return err
	}
	for _, name := range slices.Backward(x.Old) {
		if slices.ContainsFunc(set, func(e fs.DirEntry) bool { return e.Name() == name }) {
			if err := o.fs.Rename(filepath.Join(o.aside(), name), filepath.Join(o.folder, name)); err != nil {
				return err
			}
		}
	}
	if err := o.fs.SyncFolder(o.folder); err != nil {
		return err
	}
	return o.fs.Remove(o.marker())
}

// damaged says that the file commit cannot be followed.
func (o *Output) damaged(what string) error {
	return &FormatError{o.marker(), what, fmt.Sprintf("a run was cut short here; what it was to replace is in %q", o.aside())}
}

// recover undoes an exchange that a dead run has left half-done.
func (o *Output) recover() error {
	text, err := os.ReadFile(o.marker())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var x exchange
	if err := json.Unmarshal(text, &x); err != nil {
		return o.damaged(err.Error())
	}
	for _, name := range slices.Concat(x.New, x.Old) {
		if !PlainName(name) { // never beyond the folder, whoever wrote this
			return o.damaged(fmt.Sprintf("%q is not the name of a file", name))
		}
	}
	return o.undo(&x)
}
