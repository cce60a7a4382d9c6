package checkpoint

import (
	"slices"
	"sync"

	"github.com/mha2mla/mha2mla/internal/fsys"
)

// mostOpen is how many files of an output are open at once. A model may have more shards
// than a process may have open files.
const mostOpen = 128

// openFiles holds the files of an output that are open, the one that was unused for the
// longest time first.
type openFiles struct {
	mu    sync.Mutex
	files []*parked
}

// parked is a file that may be closed while others are used. It is opened again when it is
// used itself.
type parked struct {
	all  *openFiles
	in   fsys.Folder
	name string

	mu sync.Mutex
	f  fsys.File // nil while it is closed
}

// create creates a file in a folder and keeps it among the open ones.
func (o *openFiles) create(in fsys.Folder, name string) (fsys.File, error) {
	f, err := in.Create(name)
	if err != nil {
		return nil, err
	}
	p := &parked{all: o, in: in, name: name, f: f}
	return p, o.used(p)
}

// used makes p the last file to be closed. If too many are open, it closes the first of
// those that nobody is using.
func (o *openFiles) used(p *parked) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.files = append(slices.DeleteFunc(o.files, func(q *parked) bool { return q == p }), p)
	for i := 0; len(o.files) > mostOpen && i < len(o.files)-1; i++ {
		first := o.files[i]
		if !first.mu.TryLock() {
			continue
		}
		err := first.park()
		first.mu.Unlock()
		o.files = slices.Delete(o.files, i, i+1)
		if err != nil {
			return err
		}
		i--
	}
	return nil
}

// park closes the file until it is used again.
func (p *parked) park() error {
	if p.f == nil {
		return nil
	}
	err := p.f.Close()
	p.f = nil
	return err
}

// with calls do with the open file, which it opens again if it was parked.
func (p *parked) with(do func(fsys.File) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.f == nil {
		f, err := p.in.Reopen(p.name)
		if err != nil {
			return err
		}
		p.f = f
	}
	if err := p.all.used(p); err != nil {
		return err
	}
	return do(p.f)
}

// Write appends to a file that was just created.
func (p *parked) Write(b []byte) (n int, err error) {
	err = p.with(func(f fsys.File) error { n, err = f.Write(b); return err })
	return n, err
}

// WriteAt writes b at a byte of the file.
func (p *parked) WriteAt(b []byte, at int64) (n int, err error) {
	err = p.with(func(f fsys.File) error {
		n, err = f.WriteAt(b, at)
		fsys.WriteBehind(f, at, int64(n))
		return err
	})
	return n, err
}

// Sync puts the file on the disk, with what was written before it was parked, too.
func (p *parked) Sync() error { return p.with(fsys.File.Sync) }

// Close closes the file for good.
func (p *parked) Close() error {
	p.mu.Lock()
	err := p.park()
	p.mu.Unlock()
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	p.all.files = slices.DeleteFunc(p.all.files, func(q *parked) bool { return q == p })
	return err
}
