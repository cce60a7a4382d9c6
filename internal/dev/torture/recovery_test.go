package torture

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/fsys/faultfs"
)

// TestEveryRecovery kills the run that puts back what a killed run has left, at
// every call, too.
func TestEveryRecovery(t *testing.T) {
	for _, k := range []kind{kinds[1], kinds[3]} {
		s := newScene(t, k)
		calls := s.calls(t)
		step := 1
		if !long {
			step = 6
		}
		for n := calls - 35; n < calls; n += step { // where files are exchanged
			for again := 1; s.recovery(t, n, again); again += step {
				tried.add("calls killed while recovering: "+k.name, 1)
			}
		}
	}
}

// calls counts those of an undisturbed run.
func (s *scene) calls(t *testing.T) int {
	t.Helper()
	fs := faultfs.Fail(0)
	if err := s.run(s.set(t), checkpoint.Replace{Force: true, FS: fs}); err != nil {
		t.Fatal(err)
	}
	return fs.Calls()
}

// recovery kills a run at call n, and what cleans up after it at call again. It is
// false if that needs fewer calls.
func (s *scene) recovery(t *testing.T, n, again int) bool {
	t.Helper()
	dir := s.set(t)
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, s.out)
	if err := s.run(dir, checkpoint.Replace{Force: true, FS: faultfs.Kill(n)}); err == nil {
		t.Fatalf("call %d: not killed", n)
	}
	second := faultfs.Kill(again)
	settleOn(s.m, out, second) //nolint:errcheck // it may be killed here
	if err := generation(contents(t, dir), s.old, s.new); err != nil {
		t.Errorf("call %d, then %d: %v", n, again, err)
	}
	if err := settle(s.m, out); err != nil {
		t.Errorf("call %d, then %d: %v", n, again, err)
	}
	now := contents(t, dir)
	if same(now, s.old) != nil && same(now, s.new) != nil {
		t.Errorf("call %d, then %d: lost: %v", n, again, same(now, s.old))
	}
	if left := leaked(t, dir); len(left) > 0 {
		t.Errorf("call %d, then %d: leaked %v", n, again, left)
	}
	return second.Reached()
}
