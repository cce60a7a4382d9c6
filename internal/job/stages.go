package job

import (
	"github.com/mha2mla/mha2mla/internal/heal"
	"github.com/mha2mla/mha2mla/internal/plan"
)

// Stage is something that parts do on the way from the plan to the output. Each is a command, and
// begins when the one before it has ended.
type Stage string

// The stages, in their order.
const (
	StageText      Stage = "text"
	StageCalibrate Stage = "calibrate"
	StageSearch    Stage = "search"
	StageFit       Stage = "fit"
	StageConvert   Stage = "convert"
	StageFinalize  Stage = "finalize"
)

// Shared reports whether the stage is shared out among tasks.
func (s Stage) Shared() bool { return s == StageCalibrate || s == StageConvert }

// stages lists the stages that the conversion has, with the given share of text of the model's own.
func (c Conversion) stages(choices *plan.Choices, share float64) (stages []Stage) {
	if c.speaks(share) {
		stages = append(stages, StageText)
	}
	if share > 0 || c.named() {
		stages = append(stages, StageCalibrate)
	}
	stages = append(stages, StageSearch)
	if choices.Heal() != heal.None {
		stages = append(stages, StageFit)
	}
	return append(stages, StageConvert, StageFinalize)
}
