package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mha2mla/mha2mla/internal/fsys"
	"github.com/mha2mla/mha2mla/internal/option"
)

// exchange is the content of the file commit: it says which files take the place of which.
type exchange struct {
	New []string         `json:"new"` // in the order in which they appear
	Old []string         `json:"old"` // in the order in which they go
	Is  map[string]state `json:"is"`  // size and time of each new file, by its name
}

// state tells a file from another file that has the same name.
type state struct {
	Bytes   int64 `json:"bytes"`
	Changed int64 `json:"changed"` // time of the last change, in nanoseconds since 1970
}

func stateOf(info fs.FileInfo) state { return state{info.Size(), info.ModTime().UnixNano()} }

// maxExchange is the size in bytes of the largest file commit that is read. It has room for
// more shards than the names of shards can count.
const maxExchange = 64 << 20

// replace sets the old files aside and gives the new ones their names (design §12). At no
// time does a loader find parts of both. If the process is killed at any time, the old
// files lie where the next run finds them and puts them back.
func (o *Output) replace() error {
	for until := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		// The conversion may have taken hours, in which another output may have put its
		// files beside this one.
		if err := checkOutput(o.fs, o.in, o.folder, o.names, o.whole, o.force); err != nil {
			return err
		}
		x, err := o.plan()
		if err != nil {
			return err
		}
		if err := o.announce(x); err != nil {
			return errors.Join(err, o.withdraw())
		}
		other, err := o.rival(x)
		if err == nil && other == "" {
			return o.carryOut(x)
		}
		if err := errors.Join(err, o.withdraw()); err != nil {
			return err
		}
		if time.Now().After(until) {
			return &RivalError{o.path, other}
		}
	}
}

// RivalError says that another run is exchanging some of the files that this run exchanges.
type RivalError struct{ Path, Folder string }

func (e *RivalError) Error() string {
	return fmt.Sprintf("%q shares files with another output, which is being exchanged, or was when that run died (%q)", e.Path, e.Folder)
}

// Remedy says what to do about the error.
func (e *RivalError) Remedy() option.Text {
	return option.Textf("run the other again with %v, which puts in order what it left, or name another output", option.Force)
}

// patience is how long a run waits for another that exchanges files in the same folder. An
// exchange takes moments, so a run that takes longer has probably died.
const patience = 5 * time.Second

// carryOut exchanges the files as announced. If that fails, it puts everything back.
func (o *Output) carryOut(x *exchange) error {
	if err := o.exchange(x); err != nil {
		marked, statErr := fsys.Exists(o.work, markerFile)
		if statErr == nil && !marked { // only the last call failed: the new files hold
			return errors.Join(&PublishedError{o.path, err}, o.close(false))
		}
		return errors.Join(err, o.undo(x))
	}
	if err := o.work.Sync(); err != nil {
		return errors.Join(&PublishedError{o.path, err}, o.close(false))
	}
	return nil
}

// plan lists the files to be exchanged. The old files go in the opposite order in which the
// new ones come, so that the file that loaders read first goes first and comes last.
func (o *Output) plan() (*exchange, error) {
	x := &exchange{New: o.names, Old: slices.Clone(o.names)}
	if o.whole {
		weights, err := weightsIn(o.fs, o.folder)
		if err != nil {
			return nil, err
		}
		stale, err := Leftovers(o.folder, o.names)
		if err != nil {
			return nil, err
		}
		for _, name := range slices.Concat(stale, weights) {
			if !slices.Contains(x.Old, name) {
				x.Old = append([]string{name}, x.Old...)
			}
		}
		i := slices.Index(x.Old, IndexFile)
		if i >= 0 { // no loader takes shards without the index, so it goes first
			x.Old = append(slices.Delete(x.Old, i, i+1), IndexFile)
		}
	} else {
		stale, err := oldParts(o.folder, o.names)
		if err != nil {
			return nil, err
		}
		x.Old = append(stale, x.Old...)
	}
	slices.Reverse(x.Old)
	return x, errors.Join(o.onlyThere(x), o.identify(x))
}

// identify notes the size and time of each new file.
func (o *Output) identify(x *exchange) error {
	x.Is = make(map[string]state, len(x.New))
	for _, name := range x.New {
		info, err := o.staged.Stat(name)
		if err != nil {
			return err
		}
		x.Is[name] = stateOf(info)
	}
	return nil
}

// onlyThere removes from the list of old files those that do not exist.
func (o *Output) onlyThere(x *exchange) error {
	var errs []error
	x.Old = slices.DeleteFunc(x.Old, func(name string) bool {
		there, err := fsys.Exists(o.base, name)
		errs = append(errs, err)
		return !there
	})
	return errors.Join(errs...)
}

// announce writes the file commit. It appears whole or not at all.
func (o *Output) announce(x *exchange) error {
	text, err := json.Marshal(x)
	if err != nil {
		return err
	}
	if err := fsys.WriteFile(o.mine, markerFile, text); err != nil {
		return err
	}
	if err := o.work.Mkdir(asideFolder, true); err != nil {
		return err
	}
	if err := o.mine.Move(markerFile, o.work, markerFile); err != nil {
		return err
	}
	return o.work.Sync()
}

// withdraw takes back an exchange that was announced and not begun.
func (o *Output) withdraw() error {
	return errors.Join(fsys.RemoveAll(o.mine, markerFile), fsys.RemoveAll(o.work, markerFile), fsys.RemoveAll(o.work, asideFolder))
}

// rival returns the folder of another run that exchanges some of the same files, or has
// died while it did; empty if this user can see none. Every run announces its exchange
// before it looks for others, so of two runs at least one sees the other.
func (o *Output) rival(x *exchange) (string, error) {
	names, err := o.base.List()
	if err != nil {
		return "", err
	}
	for _, name := range names {
		if name == o.workName || !strings.HasSuffix(name, tempSuffix) {
			continue
		}
		other, err := o.base.Enter(name)
		if err != nil {
			continue // it is gone, or another user's
		}
		theirs, err := readExchange(other)
		other.Close() //nolint:errcheck // nothing was written
		if err != nil {
			return other.Path(), err
		}
		if theirs != nil && theirs.meets(x) {
			return other.Path(), nil
		}
	}
	return "", nil
}

// meets reports whether both exchanges contain the same file.
func (x *exchange) meets(y *exchange) bool {
	all := slices.Concat(y.New, y.Old)
	return slices.ContainsFunc(slices.Concat(x.New, x.Old), func(name string) bool { return slices.Contains(all, name) })
}

// exchange exchanges the files. Its last step removes the file commit: from then on the new
// files hold.
func (o *Output) exchange(x *exchange) error {
	aside, err := o.work.Enter(asideFolder)
	if err != nil {
		return err
	}
	defer aside.Close()
	for _, name := range x.Old {
		if err := o.base.Move(name, aside, name); err != nil {
			return err
		}
	}
	if err := errors.Join(aside.Sync(), o.base.Sync()); err != nil {
		return err
	}
	for _, name := range x.New {
		if err := o.staged.Move(name, o.base, name); err != nil {
			return err
		}
	}
	if err := o.base.Sync(); err != nil {
		return err
	}
	return o.work.Remove(markerFile)
}

// undo puts everything back as it was before the exchange. All new files go before any old
// one comes back, so that undo may itself be cut short and be done again.
func (o *Output) undo(x *exchange) error {
	staged, err := o.work.Enter(stagedFolder)
	if err != nil {
		return err
	}
	defer staged.Close()
	aside, err := o.work.Enter(asideFolder)
	if err != nil {
		return err
	}
	defer aside.Close()
	for _, name := range x.New {
		if err := x.restage(o.base, staged, name); err != nil {
			return err
		}
	}
	for _, name := range slices.Backward(x.Old) {
		if err := aside.Move(name, o.base, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := o.base.Sync(); err != nil {
		return err
	}
	return o.work.Remove(markerFile)
}

// restage takes the name of a new file back, if the exchange has given it already. Another
// file that has the name by now belongs to somebody else, and stays.
func (x *exchange) restage(base, staged fsys.Folder, name string) error {
	waiting, err := fsys.Exists(staged, name)
	if err != nil || waiting {
		return err
	}
	info, err := base.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || stateOf(info) != x.Is[name] {
		return err
	}
	return base.Move(name, staged, name)
}

// readExchange reads the file commit of a temporary folder; nil if there is none.
func readExchange(work fsys.Folder) (*exchange, error) {
	text, err := fsys.ReadFile(work, markerFile, maxExchange)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	damaged := func(what string) error {
		return &FormatError{filepath.Join(work.Path(), markerFile), what, fmt.Sprintf("a run was cut short here; what it was to replace is in %q", filepath.Join(work.Path(), asideFolder))}
	}
	var x exchange
	if err := json.Unmarshal(text, &x); err != nil {
		return nil, damaged(err.Error())
	}
	for _, name := range slices.Concat(x.New, x.Old) {
		if !PlainName(name) { // a false list must not lead out of the folder
			return nil, damaged(fmt.Sprintf("%q is not the name of a file", name))
		}
	}
	return &x, nil
}

// recover undoes an exchange that a run left half-done when it died.
func (o *Output) recover() error {
	x, err := readExchange(o.work)
	if err != nil || x == nil {
		return err
	}
	if o.fresh {
		return &FormatError{filepath.Join(o.work.Path(), markerFile), "it speaks of files in a folder that is not there", "see what is beside it, and remove it"}
	}
	return o.undo(x)
}
