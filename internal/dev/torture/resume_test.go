package torture

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/fsys/faultfs"
)

// interrupted returns a folder in which a run into shards was killed when some of
// them were complete, and the path of one that was.
func interrupted(t *testing.T, s *scene) (dir, whole string) {
	t.Helper()
	for n := s.calls(t) - 14; n > 0; n-- { // before anything else is written
		dir = s.set(t)
		s.run(dir, checkpoint.Replace{FS: faultfs.Kill(n)}) //nolint:errcheck // it is killed
		journal, err := os.ReadFile(filepath.Join(dir, ".out.mha2mla-tmp", "journal"))
		journal = journal[:bytes.LastIndexByte(journal, '\n')+1] // of a line that was cut short nothing is believed
		if err == nil && strings.Contains(string(journal), `"shard"`) && strings.Count(string(journal), `"shard"`) < 3 {
			_, after, _ := strings.Cut(string(journal), `"shard":{"file":"`)
			name, _, _ := strings.Cut(after, `"`)
			return dir, filepath.Join(dir, ".out.mha2mla-tmp", "new", name)
		}
		os.RemoveAll(dir)
	}
	t.Fatal("no run left a complete shard")
	return "", ""
}

// shards is the scene of a fresh directory of several shards.
func shards(t *testing.T) *scene { return newScene(t, kinds[4]) }

// copied copies a folder.
func copied(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(tempDir(t), "x")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

// resumed resumes a run and looks at what came of it.
func (s *scene) resumed(t *testing.T, dir, what string) {
	t.Helper()
	tried.add("resumes: "+what, 1)
	if err := s.run(dir, checkpoint.Replace{Resume: true}); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	if err := same(contents(t, dir), s.new); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	if left := leaked(t, dir); len(left) > 0 {
		t.Errorf("%s: leaked %v", what, left)
	}
}

// TestResumeKeeps: a shard that is complete is not written again.
func TestResumeKeeps(t *testing.T) {
	s := shards(t)
	dir, whole := interrupted(t, s)
	before, err := os.Stat(whole)
	if err != nil {
		t.Fatal(err)
	}
	s.resumed(t, dir, "kept")
	after, err := os.Stat(filepath.Join(dir, "out", filepath.Base(whole)))
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("a complete shard was written again: %v", err)
	}
}

// TestTornJournal cuts the journal short at every byte, and changes every byte: what
// is kept is right, or nothing is.
func TestTornJournal(t *testing.T) {
	s := shards(t)
	dir, _ := interrupted(t, s)
	journal := filepath.Join(".out.mha2mla-tmp", "journal")
	text, err := os.ReadFile(filepath.Join(dir, journal))
	if err != nil {
		t.Fatal(err)
	}
	step := len(text)/10 + 1
	if long {
		step = len(text)/200 + 1
	}
	try := func(what string, text []byte) {
		again := copied(t, dir)
		defer os.RemoveAll(again)
		if err := os.WriteFile(filepath.Join(again, journal), text, 0o666); err != nil {
			t.Fatal(err)
		}
		s.resumed(t, again, what)
	}
	for n := 0; n < len(text); n += step {
		try("journal cut short", text[:n])
		changed := append([]byte(nil), text...)
		changed[n] ^= 4
		try("journal changed", changed)
	}
	try("journal of garbage", []byte("garbage\n\x00"))
	try("journal of nothing", nil)
}

// TestDamagedShard changes a complete shard behind the journal's back.
func TestDamagedShard(t *testing.T) {
	s := shards(t)
	dir, whole := interrupted(t, s)
	text, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	relative, _ := filepath.Rel(dir, whole)
	step := len(text)/6 + 1
	if long {
		step = len(text)/60 + 1
	}
	for n := 0; n < len(text); n += step {
		again := copied(t, dir)
		changed := append([]byte(nil), text...)
		changed[n] ^= 1
		if err := os.WriteFile(filepath.Join(again, relative), changed, 0o666); err != nil {
			t.Fatal(err)
		}
		s.resumed(t, again, "shard changed")
		os.RemoveAll(again)
	}
}

// TestResumeRefuses: what differs from the run that was killed is named, and the
// run can still be resumed as it was.
func TestResumeRefuses(t *testing.T) {
	s := shards(t)
	dir, whole := interrupted(t, s)
	file := s.m.Source.Files()[0]
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, s.out)
	refused := func(j job, want string) {
		t.Helper()
		tried.add("resumes refused", 1)
		j.replace = checkpoint.Replace{Resume: true}
		if err := j.run(s.m, out); !errors.As(err, new(*convert.ResumeError)) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if _, err := os.Stat(whole); err != nil {
			t.Error(err)
		}
	}
	refused(job{rank: 12, maxShard: severalShards}, "kv-lora-rank 12")
	refused(job{maxShard: 30e3}, "max-shard-size")
	if err := os.Chtimes(file, time.Time{}, info.ModTime().Add(1)); err != nil {
		t.Fatal(err)
	}
	refused(s.job, `"model.safetensors"`)
	if err := os.Chtimes(file, time.Time{}, info.ModTime()); err != nil {
		t.Fatal(err)
	}
	s.resumed(t, dir, "after refusals")
}
