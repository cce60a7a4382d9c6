package kubernetes

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// program returns the path of the program that is tested.
func program(t *testing.T) string {
	path := os.Getenv("MHA2MLA_PROGRAM")
	if path == "" {
		t.Skip("MHA2MLA_PROGRAM does not name the program")
	}
	return path
}

// run runs the program and returns what it prints.
func run(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(program(t), args...)
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return text
}

// jobs decodes documents strictly: what a type has no place for, or is there twice, is an error.
func jobs(t *testing.T, text []byte) (all []*batch.Job) {
	t.Helper()
	_, text, _ = bytes.Cut(text, []byte("\n---\n")) // a comment
	for _, document := range bytes.Split(text, []byte("\n---\n")) {
		job := new(batch.Job)
		if err := yaml.UnmarshalStrict(document, job); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		if job.APIVersion != "batch/v1" || job.Kind != "Job" || job.Name == "" {
			t.Fatalf("no job: %s", document)
		}
		all = append(all, job)
	}
	return all
}

// action returns what a job does of a pod that ended with an exit code, or was disrupted; empty if
// no rule says.
func action(job *batch.Job, code int32, disrupted bool) batch.PodFailurePolicyAction {
	for _, rule := range job.Spec.PodFailurePolicy.Rules {
		on := rule.OnExitCodes
		if on != nil && on.Operator == batch.PodFailurePolicyOnExitCodesOpIn && slices.Contains(on.Values, code) {
			return rule.Action
		}
		for _, condition := range rule.OnPodConditions {
			if disrupted && condition.Type == core.DisruptionTarget {
				return rule.Action
			}
		}
	}
	return ""
}

// TestRules: of every exit status, whether another pod is started in its place.
func TestRules(t *testing.T) {
	dir := t.TempDir()
	for _, job := range jobs(t, run(t, "plan", "--kubernetes", "5", "--calibrate", "none", model, filepath.Join(dir, "out"))) {
		for code, want := range map[int32]batch.PodFailurePolicyAction{
			1: "", 2: batch.PodFailurePolicyActionFailIndex, 3: batch.PodFailurePolicyActionFailIndex,
			6: batch.PodFailurePolicyActionFailIndex, 7: batch.PodFailurePolicyActionFailIndex, 75: batch.PodFailurePolicyActionIgnore, 143: "",
		} {
			if got := action(job, code, false); got != want {
				t.Errorf("%s: exit status %d: %q, want %q", job.Name, code, got, want)
			}
		}
		if got := action(job, 143, true); got != batch.PodFailurePolicyActionIgnore {
			t.Errorf("%s: evicted: %q", job.Name, got)
		}
		spec := job.Spec
		if *spec.CompletionMode != batch.IndexedCompletion || *spec.BackoffLimitPerIndex < 1 || spec.Template.Spec.RestartPolicy != core.RestartPolicyNever {
			t.Errorf("%s: only indexed jobs whose pods are not restarted may have rules for an index", job.Name)
		}
		if job.Name == "mha2mla-convert" && (*spec.Completions != 5 || *spec.Parallelism != 5) {
			t.Errorf("%s: %d completions, %d at a time", job.Name, *spec.Completions, *spec.Parallelism)
		}
	}
}

// model is the checkpoint that is converted.
const model = "../../../testdata/stories260k"

// cluster runs pods as the controller of jobs does: all jobs at once.
type cluster struct {
	*testing.T
	mu        sync.Mutex
	disrupted map[string]bool // jobs of which a pod was evicted
	started   map[string]int  // pods of each job
}

// job runs all indices of a job until each has succeeded.
func (c *cluster) job(job *batch.Job) {
	var pods sync.WaitGroup
	for index := range int(*job.Spec.Completions) {
		pods.Go(func() { c.index(job, index) })
	}
	pods.Wait()
}

// Between pods of an index is some time, each time more, until nobody waits any more.
const (
	firstWait = 500 * time.Millisecond
	mostWait  = 10 * time.Second
	patience  = 15 * time.Minute
)

// index starts pods of an index until one has succeeded, or no more may be.
func (c *cluster) index(job *batch.Job, index int) {
	failures, wait := int32(0), firstWait
	for began := time.Now(); time.Since(began) < patience; wait = min(2*wait, mostWait) {
		time.Sleep(wait)
		code, disrupted := c.pod(job, index)
		switch does := action(job, code, disrupted); {
		case code == 0:
			return
		case does == batch.PodFailurePolicyActionIgnore:
			continue
		case does == batch.PodFailurePolicyActionFailIndex:
			c.Errorf("%s, index %d: exit status %d", job.Name, index, code)
			return
		}
		if failures++; failures > *job.Spec.BackoffLimitPerIndex {
			c.Errorf("%s, index %d: too many failures, the last with exit status %d", job.Name, index, code)
			return
		}
	}
	c.Errorf("%s, index %d: no end", job.Name, index)
}

// pod runs a pod of an index. The first of index 0 of each job that has lived for a moment is
// evicted.
func (c *cluster) pod(job *batch.Job, index int) (code int32, disrupted bool) {
	var args []string
	for _, arg := range job.Spec.Template.Spec.Containers[0].Args {
		args = append(args, strings.ReplaceAll(arg, "$(JOB_COMPLETION_INDEX)", strconv.Itoa(index)))
	}
	ctx, evict := context.WithCancel(context.Background())
	defer evict()
	cmd := exec.CommandContext(ctx, program(c.T), args...)
	c.mu.Lock()
	c.started[job.Name]++
	first := index == 0 && !c.disrupted[job.Name]
	c.mu.Unlock()
	if first {
		timer := time.AfterFunc(30*time.Millisecond, evict)
		defer timer.Stop()
	}
	said, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		c.mu.Lock()
		c.disrupted[job.Name] = true
		c.mu.Unlock()
		return 137, true
	}
	exit := new(exec.ExitError)
	if errors.As(err, &exit) {
		if exit.ExitCode() != 75 {
			c.Logf("%s, index %d: %s", job.Name, index, said)
		}
		return int32(exit.ExitCode()), false
	}
	if err != nil {
		c.Error(err)
	}
	return 0, false
}

// TestCluster runs all jobs at once, with one pod of each evicted, and compares the output with that
// of one conversion.
func TestCluster(t *testing.T) {
	dir := t.TempDir()
	whole, out := filepath.Join(dir, "whole"), filepath.Join(dir, "out")
	flags := []string{"--made-tokens", "1024", "--cache", "32", "--max-shard-size", "100KB"}
	run(t, slices.Concat([]string{"convert", "-q"}, flags, []string{model, whole})...)
	c := &cluster{T: t, disrupted: make(map[string]bool), started: make(map[string]int)}
	var all sync.WaitGroup
	for _, job := range jobs(t, run(t, slices.Concat([]string{"plan", "-q", "--kubernetes", "3"}, flags, []string{model, out})...)) {
		all.Go(func() { c.job(job) })
	}
	all.Wait()
	t.Logf("pods started: %v, and evicted: %v", c.started, slices.Sorted(maps.Keys(c.disrupted)))
	if diff, err := exec.Command("diff", "-r", whole, out).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, diff)
	}
}
