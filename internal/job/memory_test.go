package job

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/distill"
	"github.com/mha2mla/mha2mla/internal/heal"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/plan"
)

// watched is a view that remembers warnings.
type watched struct{ warnings []string }

func (*watched) Progress(string) (func(done, total int64), func())          { return nil, func() {} }
func (*watched) Distilling() (report func(distill.Progress), finish func()) { return nil, func() {} }

func (*watched) Healing() (func(heal.Progress), func()) { return nil, func() {} }
func (w *watched) Warn(t option.Text)                   { w.warnings = append(w.warnings, t.String()) }
func (*watched) Hint(option.Text)                       {}

// TestRoom: what no machine has is refused before it is asked for.
func TestRoom(t *testing.T) {
	if err := Room(1); err != nil {
		t.Error(err)
	}
	err := Room(1 << 60)
	if runtime.GOOS == "linux" && !errors.As(err, new(*MemoryError)) { // elsewhere it is not known, and nothing is refused
		t.Errorf("got %v, want a MemoryError", err)
	}
}

// TestCheckMemory: what the user says of the machine is believed, with a warning if one layer
// takes more.
func TestCheckMemory(t *testing.T) {
	m := testmodel.Llama{}.Open(t)
	choices, err := plan.Choose(plan.Request{}, m, plan.Data{})
	if err != nil {
		t.Fatal(err)
	}
	for memory, want := range map[int64]string{1 << 20: "memory says", 1 << 60: "", 0: ""} {
		view := &watched{}
		r := &run{View: view, model: m}
		r.Memory = memory
		if err := r.checkMemory(choices, &statistics{}); err != nil {
			t.Errorf("%d: %v", memory, err)
		}
		if got := strings.Join(view.warnings, "\n"); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%d bytes: warns %q, want %q", memory, got, want)
		}
	}
}
