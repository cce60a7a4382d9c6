package torture

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/fsys"
)

// mount mounts a file system in memory until the test ends, or skips the test.
func mount(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("cannot mount a file system to fill: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// blind does not know how much is free, so that the disk gets full.
type blind struct{ fsys.OS }

func (b blind) Open(path string) (fsys.Folder, error) {
	real, err := b.OS.Open(path)
	if err != nil {
		return nil, err
	}
	return blindFolder{real}, nil
}

type blindFolder struct{ fsys.Folder }

func (blindFolder) Free() (int64, error) { return 0, errors.ErrUnsupported }

func (f blindFolder) Enter(name string) (fsys.Folder, error) {
	real, err := f.Folder.Enter(name)
	if err != nil {
		return nil, err
	}
	return blindFolder{real}, nil
}

func (f blindFolder) Move(name string, to fsys.Folder, as string) error {
	return f.Folder.Move(name, to.(blindFolder).Folder, as)
}

// TestFullDisk fills disks of several sizes: nothing is left, what was there is
// there, and with room it goes on.
func TestFullDisk(t *testing.T) {
	for _, k := range kinds {
		s := newScene(t, k)
		for kilobytes := 100; kilobytes <= 400; kilobytes += 20 {
			dir := mount(t, fmt.Sprintf("size=%dk", kilobytes))
			if err := os.CopyFS(dir, os.DirFS(s.before)); err != nil {
				continue // the old alone is too large
			}
			err := s.run(dir, checkpoint.Replace{Force: true, FS: blind{}})
			now := contents(t, dir)
			switch {
			case err == nil:
				if err := same(now, s.new); err != nil {
					t.Error(err)
				}
				continue
			case !errors.Is(err, syscall.ENOSPC):
				t.Errorf("%s: %v", k.name, err)
			case same(now, s.old) != nil:
				t.Errorf("%s: %v", k.name, same(now, s.old))
			}
			tried.add("full disks", 1)
			if left := leaked(t, dir); len(left) > 0 {
				t.Errorf("leaked %v", left)
			}
			if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT, "size=2m"); err != nil {
				t.Fatal(err)
			}
			if err := s.run(dir, checkpoint.Replace{Force: true, FS: blind{}}); err != nil {
				t.Error(err)
			}
			if err := same(contents(t, dir), s.new); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestNoRoom: what will not fit is refused before any work, with numbers.
func TestNoRoom(t *testing.T) {
	in := testmodel.Llama{Hidden: 256, Intermediate: 1024}.Write(t)
	dir := mount(t, "size=1m")
	status, stderr := fails(t, words(in, filepath.Join(dir, "out"))...)
	if status != 6 || !strings.Contains(stderr, "bytes are needed and 10") || strings.Count(stderr, "\n") != 2 {
		t.Errorf("exit status %d: %s", status, stderr)
	}
	if entries, _ := os.ReadDir(dir); len(entries) > 0 {
		t.Errorf("left %v", entries)
	}
}

// TestReadOnly: a folder that cannot be written to is one line.
func TestReadOnly(t *testing.T) {
	in := testmodel.Llama{}.Write(t)
	dir := mount(t, "ro")
	for _, name := range []string{"out", "out.safetensors"} {
		status, stderr := fails(t, words(in, filepath.Join(dir, name))...)
		if status != 1 || !strings.Contains(stderr, "read-only file system") || strings.Count(stderr, "\n") != 1 {
			t.Errorf("exit status %d: %s", status, stderr)
		}
	}
}

// TestOddFolders replaces the output in a folder that is a mount, a symbolic link,
// or where the program is: it stays what it is.
func TestOddFolders(t *testing.T) {
	s := newScene(t, kinds[3])
	replaced := func(what, out, at string) {
		t.Helper()
		if err := s.job.replaced().run(s.m, out); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		want := make(map[string]string)
		for name, text := range s.new {
			want[strings.TrimPrefix(name, "out/")] = text
		}
		if err := same(contents(t, at), want); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if left := leaked(t, filepath.Dir(at)); len(left) > 0 {
			t.Errorf("%s: leaked %v", what, left)
		}
	}
	mounted := mount(t, "size=2m")
	if err := os.CopyFS(mounted, os.DirFS(filepath.Join(s.before, "out"))); err != nil {
		t.Fatal(err)
	}
	replaced("a mount", mounted, mounted)

	real := filepath.Join(s.set(t), "out")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	replaced("a link", link, real)
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info, err)
	}

	here := filepath.Join(s.set(t), "out")
	t.Chdir(here)
	replaced("here", ".", here)
}

// replaced is j with force.
func (j job) replaced() job {
	j.replace.Force = true
	return j
}
