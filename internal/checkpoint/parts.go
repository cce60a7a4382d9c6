package checkpoint

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/mha2mla/mha2mla/internal/fsys"
)

// partsSuffix ends the name of the folder of the parts of an output.
const partsSuffix = ".parts"

// Parts is the folder beside an output to which processes on several machines bring the files
// that the output will be joined from. It needs no lock (design §12): a process writes to files
// of its own names alone, and one rename gives a file its name when it is whole and on the disk.
// Two processes that make the same file make the same bytes, so that it does not matter whose
// comes last.
type Parts struct {
	fsys.Folder
	id string // of this process, random
}

// PartsOf returns the path of the folder of the parts of the output out.
func PartsOf(out string) string { return filepath.Clean(out) + partsSuffix }

// OpenParts opens the folder of the parts of out. If there is none, it makes one if create is set,
// and else returns fs.ErrNotExist.
func OpenParts(files fsys.FS, out string, create bool) (*Parts, error) {
	base, err := files.Open(filepath.Dir(PartsOf(out)))
	if err != nil {
		return nil, err
	}
	defer base.Close()
	name := filepath.Base(PartsOf(out))
	if create {
		if err := base.Mkdir(name, true); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	folder, err := base.Enter(name)
	if err != nil {
		return nil, err
	}
	return &Parts{folder, rand.Text()[:12]}, nil
}

// Draft returns the name that a file has until Publish, which no other process uses.
func (p *Parts) Draft(name string) string { return name + "." + p.id + ".draft" }

// Scratch returns the path for a temporary file that no other process uses. Close removes it.
func (p *Parts) Scratch(name string) string { return filepath.Join(p.Path(), p.Draft(name)) }

// CheckSpace returns a SpaceError if the system says that it has no room for so many bytes.
func (p *Parts) CheckSpace(bytes int64) error {
	free, err := p.Free()
	if err != nil {
		return nil // the system does not tell, so the run has to try
	}
	return enoughSpace(p.Path(), bytes, free)
}

// Publish gives a draft, which is on the disk, its name. A file that has it already is replaced.
func (p *Parts) Publish(name string) error {
	draft := p.Draft(name)
	written, err := p.Stat(draft)
	if err != nil {
		return err
	}
	if err := p.Rename(draft, name); err != nil {
		// A network may repeat a request that was carried out, and report the second time.
		there, statErr := p.Stat(name)
		if statErr != nil || !os.SameFile(there, written) {
			return err
		}
	}
	return p.Sync()
}

// Write publishes a file with the given content.
func (p *Parts) Write(name string, content []byte) error {
	if err := fsys.WriteFile(p, p.Draft(name), content); err != nil {
		return err
	}
	return p.Publish(name)
}

// Keep publishes a file for other processes to use, and Kept reads it, as those of Output do.
func (p *Parts) Keep(name string, content []byte) error { return p.Write(name, content) }

// Kept returns what Keep wrote. It returns an error if that has more than most bytes, and
// fs.ErrNotExist if there is nothing.
func (p *Parts) Kept(name string, most int64) ([]byte, error) { return fsys.ReadFile(p, name, most) }

// Give moves a file to the output, where it will be published under the same name. It is no error
// if the output has it already, from a run that was cut short, and fs.ErrNotExist if it is in
// neither place.
func (p *Parts) Give(name string, o *Output) error {
	err := p.Move(name, o.staged, name)
	if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
		_, err = o.staged.Stat(name)
	}
	return err
}

// Close removes what this process has not published, and closes the folder.
func (p *Parts) Close() error {
	err := fsys.RemoveIn(p, func(name string) bool { return !strings.HasSuffix(name, p.Draft("")) })
	if errors.Is(err, fs.ErrNotExist) { // the folder itself is gone
		err = nil
	}
	return errors.Join(err, p.Folder.Close())
}

// RemoveParts removes the folder of the parts of out, with what is in it.
func RemoveParts(files fsys.FS, out string) error {
	base, err := files.Open(filepath.Dir(PartsOf(out)))
	if err != nil {
		return err
	}
	return errors.Join(fsys.RemoveAll(base, filepath.Base(PartsOf(out))), base.Close())
}
