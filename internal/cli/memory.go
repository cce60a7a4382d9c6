package cli

import (
	"fmt"
	"runtime/debug"

	"github.com/mha2mla/mha2mla/internal/budget"
	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/heal"
	"github.com/mha2mla/mha2mla/internal/mla"
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

// resources are what layers under way may share. It also tells the runtime what
// memory to stay below.
func (o *convertFlags) resources() budget.Budget {
	total := o.memory
	if total == 0 {
		total = sysmem.Free()
	}
	debug.SetMemoryLimit(total)
	return budget.Budget{Jobs: o.jobs, Memory: max(1, total-programMemory)}
}

// memoryFor estimates the bytes that a conversion takes with one layer at a time, and
// before it the text that its statistics are gathered of.
func (o *convertFlags) memoryFor(m *family.Model, maths mla.Options, stats bool, s *statistics) int64 {
	text := s.text
	need := baseMemory + budget.LayerMemory(m.Shape(), maths, stats)
	if !stats && maths.FoldsBiases(m) {
		need = max(need, baseMemory+sample.ConstantMemory(m))
	}
	if text != nil && text.Read {
		need = max(need, baseMemory+calib.Memory(m, o.given))
	}
	if text != nil && text.Made != nil {
		p := text.Made
		need = max(need, baseMemory+p.Memory(m), baseMemory+calib.Memory(m, p.Shape()))
	}
	beside := search.Memory(m, o.Cache, s.held)
	if maths.Heal != heal.None {
		beside = max(beside, heal.Memory(m, maths.Heal, max(o.Cache, maths.Rank+maths.RopeDims), s.windows))
	}
	return need + beside
}

// memoryError says that the machine has too little memory. It exits as what fails on
// one machine and not on another does.
type memoryError struct{ need, free int64 }

func (e *memoryError) Error() string {
	return fmt.Sprintf("this takes about %s of memory, one layer at a time, and the machine has %s free", byteSize(e.need), byteSize(e.free))
}

// Hint says what to do about the error.
func (e *memoryError) Hint() string {
	return "free some, or name what there is, swap space included: with --memory, if it is a conversion"
}

// checkMemory compares what a conversion needs at least with what --memory allows or
// else the machine has free. To be refused is better than to be killed; what the
// user says of the machine is believed.
func (o *convertFlags) checkMemory(u *ui, need int64) error {
	if o.memory > 0 {
		if need > o.memory {
			u.warn(fmt.Sprintf("one layer at a time takes about %s of memory, and --memory says %s", byteSize(need), byteSize(o.memory)))
		}
		return nil
	}
	return enoughMemory(need)
}

// enoughMemory is an error if the machine is known to have less memory free than
// needed. It also tells the runtime what to stay below.
func enoughMemory(need int64) error {
	if free, known := sysmem.Available(); known && need > free {
		return &memoryError{need, free}
	}
	debug.SetMemoryLimit(sysmem.Free())
	return nil
}
