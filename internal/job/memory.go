package job

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"

	"github.com/mha2mla/mha2mla/internal/budget"
	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/distill"
	"github.com/mha2mla/mha2mla/internal/heal"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/report"
	"github.com/mha2mla/mha2mla/internal/sample"
	"github.com/mha2mla/mha2mla/internal/search"
	"github.com/mha2mla/mha2mla/internal/sysmem"
)

// programMemory is kept free of layers: for buffers, headers, and garbage that is not
// collected yet.
const programMemory = 256 << 20

// baseMemory is what the program takes beside layers at least: itself, headers, what
// is copied.
const baseMemory = 48 << 20

// Limits are what a job may take of the machine.
type Limits struct {
	Jobs   int   // processors; 0: all
	Memory int64 // bytes to stay below, as far as one layer allows; 0: what is free
}

// Set tells the runtime the limits. It is the first thing that a job does.
func (l Limits) Set() {
	runtime.GOMAXPROCS(l.Jobs) // 0 changes nothing
	debug.SetMemoryLimit(l.total())
}

// total is how many bytes the process may take.
func (l Limits) total() int64 {
	if l.Memory > 0 {
		return l.Memory
	}
	return sysmem.Free()
}

// budget is what layers under way may share of what is there now.
func (l Limits) budget() budget.Budget {
	return budget.Budget{Jobs: l.Jobs, Memory: max(1, l.total()-programMemory)}
}

// largeLayer is how many bytes a layer takes from which on garbage is collected often.
const largeLayer = 192 << 20

// tidyPercent is how large garbage may grow beside what is in use, in percent, where layers are
// large. Of 128 query heads and a hidden size of 16384, for which 0.66 GB are estimated, a layer
// then takes 0.71 GB and not 1.1, in the same processor time: there are few matrices to look
// through. Small models take up to a half longer so, and keep the 100 that is usual.
const tidyPercent = 25

// tidy has garbage collected so that a job keeps about to the bytes that it is estimated to take.
func tidy(need int64) {
	if need > largeLayer {
		debug.SetGCPercent(tidyPercent)
	}
}

// room makes sure that there are so many bytes beside the program, unless the user knows
// better.
func (l Limits) room(need int64) error {
	if l.Memory > 0 {
		return nil
	}
	return Room(need)
}

// Room makes sure that there are so many bytes of memory beside the program. To be refused
// is better than to be killed.
func Room(need int64) error { return enough(baseMemory + need) }

// enough is an error if the machine is known to have less memory free than needed.
func enough(need int64) error {
	if free, known := sysmem.Available(); known && need > free {
		return &MemoryError{need, free}
	}
	return nil
}

// MemoryError says that the machine has too little memory. It is of no kind of its own: what
// fails on one machine may not on another.
type MemoryError struct{ Need, Free int64 }

func (e *MemoryError) Error() string {
	return fmt.Sprintf("this takes about %s of memory, one layer at a time, and the machine has %s free", report.Size(e.Need), report.Size(e.Free))
}

// Remedy says what to do about the error.
func (e *MemoryError) Remedy() option.Text {
	return option.Textf("free some, or name what there is, swap space included: with %v, if it is a conversion", option.Memory)
}

// foreseenMemory makes sure of the memory of the conversion itself before statistics take
// time, unless the user says what there is.
func (r *run) foreseenMemory(c *plan.Choices, d plan.Data) error {
	if r.DryRun || r.Memory > 0 {
		return nil
	}
	return enough(r.memory(c.Maths(c.Sizes()), d.Statistics == plan.Present, &statistics{}))
}

// checkMemory compares what a conversion needs at least with what the user allows or else
// the machine has free. What the user says of the machine is believed.
func (r *run) checkMemory(c *plan.Choices, s *statistics) error {
	if r.DryRun {
		return nil
	}
	need := r.memory(c.Maths(c.Sizes()), s.Reader != nil, s)
	tidy(need)
	if r.Memory == 0 {
		return enough(need)
	}
	if need > r.Memory {
		r.Warn(option.Textf("one layer at a time takes about %s of memory, and %v says %s", report.Size(need), option.Memory, report.Size(r.Memory)))
	}
	return nil
}

// memory estimates the bytes that a conversion takes with one layer at a time, and
// before it the text that its statistics are gathered of.
func (r *run) memory(maths mla.Options, stats bool, s *statistics) int64 {
	m, text := r.model, s.text
	need := baseMemory + budget.LayerMemory(m.Shape(), maths, stats)
	if r.light {
		return need
	}
	if !stats && maths.FoldsBiases(m) {
		need = max(need, baseMemory+sample.ConstantMemory(m))
	}
	if text != nil && text.Read {
		need = max(need, baseMemory+calib.Memory(m, s.given))
	}
	if text != nil && text.Made != nil {
		p := text.Made
		need = max(need, baseMemory+p.Memory(m), baseMemory+calib.Memory(m, p.Shape()))
	}
	windows := s.windows
	if p := r.lessonPlan(maths, s); p != nil {
		need, windows = max(need, baseMemory+p.Memory(m)), slices.Concat(windows, p.Shape().Kept)
	}
	beside := search.Memory(m, r.Cache, s.held)
	if maths.Heal != heal.None {
		beside = max(beside, heal.Memory(m, maths.Heal, max(r.Cache, maths.Rank+maths.RopeDims), windows))
	}
	if maths.Distill > 0 {
		beside = max(beside, distill.Memory(m, max(r.Cache, maths.Rank+maths.RopeDims), windows))
	}
	return need + beside
}

// outcomeMemory is the memory that is told of a plan, be its statistics at hand or not yet.
func (r *run) outcomeMemory(p *plan.Plan, s *statistics) int64 {
	return r.memory(p.Maths, s.Reader != nil || s.text != nil, s)
}
