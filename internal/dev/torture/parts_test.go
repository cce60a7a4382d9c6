package torture

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/mha2mla/mha2mla/internal/budget"
	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/fsys"
	"github.com/mha2mla/mha2mla/internal/fsys/faultfs"
	pipeline "github.com/mha2mla/mha2mla/internal/job"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/plan"
)

// sharing is a conversion of model to several shards, in parts.
type sharing struct {
	m   *family.Model
	out string
}

// with calls do with the plan and the folder of the parts.
func (s sharing) with(files fsys.FS, do func(p *plan.Plan, o convert.Options) error) error {
	p, err := pipeline.Plan(context.Background(), mla.Input{Model: s.m}, s.out, job{maxShard: severalShards}.request(), plan.Data{})
	if err != nil {
		return err
	}
	parts, err := checkpoint.OpenParts(files, s.out, true)
	if err != nil {
		return err
	}
	defer parts.Close()
	return do(p, convert.Options{Budget: budget.Budget{Jobs: 1}, Parts: parts})
}

// announce says what the parts belong to.
func (s sharing) announce(files fsys.FS) error {
	return s.with(files, func(p *plan.Plan, o convert.Options) error {
		parts := o.Parts
		o.Parts = nil
		return convert.Announce(context.Background(), p, o, parts)
	})
}

// part makes a share of the shards.
func (s sharing) part(files fsys.FS, share convert.Share) error {
	return s.with(files, func(p *plan.Plan, o convert.Options) error {
		_, err := convert.Part(context.Background(), p, o, share)
		return err
	})
}

// join joins the shards.
func (s sharing) join(files fsys.FS) error {
	return s.with(files, func(p *plan.Plan, o convert.Options) error {
		var err error
		if o.Output, err = convert.Reserve(s.m, s.out, checkpoint.Replace{Resume: true, FS: files}); err != nil {
			return err
		}
		_, err = convert.Run(context.Background(), p, o)
		return err
	})
}

// everything is the only share.
var everything = convert.Share{Number: 0, Of: 1}

// TestEveryCallOfParts fails, kills, and repeats as a network does, every stage of a conversion in
// parts at every call that it makes to write. What is done again then ends in the same bytes, and nothing appears before.
func TestEveryCallOfParts(t *testing.T) {
	step := 1
	if !long {
		step = 7
	}
	m, whole := model(t), tempDir(t)
	if err := (job{maxShard: severalShards}).run(m, filepath.Join(whole, "out")); err != nil {
		t.Fatal(err)
	}
	want := contents(t, filepath.Join(whole, "out"))
	stages := []struct {
		name string
		run  func(s sharing, files fsys.FS) error
	}{
		{"announce", sharing.announce},
		{"part", func(s sharing, files fsys.FS) error { return s.part(files, everything) }},
		{"join", sharing.join},
	}
	for at, stage := range stages {
		for way, faulty := range map[string]func(int) *faultfs.FS{"failed": faultfs.Fail, "killed": faultfs.Kill, "repeated": faultfs.Repeat} {
			t.Run(stage.name+" "+way, func(t *testing.T) {
				for n := 1; ; n += step {
					s, files := sharing{m, filepath.Join(tempDir(t), "out")}, faulty(n)
					for _, before := range stages[:at] {
						if err := before.run(s, fsys.OS{}); err != nil {
							t.Fatal(err)
						}
					}
					err := stage.run(s, files)
					if !files.Reached() {
						if err != nil {
							t.Errorf("not reached, and failed: %v", err)
						}
						return
					}
					tried.add("calls "+way+": parts, "+stage.name, 1)
					s.again(t, n, want)
				}
			})
		}
	}
}

// again does all stages again, after a fault in call n of one, and compares the output. If files
// are missing in the end, because a process died in the moment in which the output was to appear,
// parts make them once more.
func (s sharing) again(t *testing.T, n int, want map[string]string) {
	t.Helper()
	if there, _ := fsys.ExistsAt(fsys.OS{}, s.out); !there {
		err := errors.Join(s.announce(fsys.OS{}), s.part(fsys.OS{}, convert.Share{Number: 1, Of: 2}), s.part(fsys.OS{}, everything))
		if err == nil {
			err = s.join(fsys.OS{})
		}
		if errors.As(err, new(*convert.MissingError)) {
			err = errors.Join(s.part(fsys.OS{}, everything), s.join(fsys.OS{}))
		}
		if err != nil {
			t.Errorf("call %d: again: %v", n, err)
		}
	}
	if err := same(contents(t, s.out), want); err != nil {
		t.Errorf("call %d: %v", n, err)
	}
}

// TestRivals has two processes make the same shards at the same time.
func TestRivals(t *testing.T) {
	m, whole := model(t), tempDir(t)
	if err := (job{maxShard: severalShards}).run(m, filepath.Join(whole, "out")); err != nil {
		t.Fatal(err)
	}
	s := sharing{m, filepath.Join(tempDir(t), "out")}
	if err := s.announce(fsys.OS{}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	for range 2 {
		go func() { ended <- s.part(fsys.OS{}, everything) }()
	}
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if err := s.join(fsys.OS{}); err != nil {
		t.Fatal(err)
	}
	if err := same(contents(t, s.out), contents(t, filepath.Join(whole, "out"))); err != nil {
		t.Error(err)
	}
}
