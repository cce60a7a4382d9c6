package job

// Stage is something that parts do on the way from the plan to the output. Each is a command, and
// begins when the one before it has ended.
type Stage string

// The stages, in their order.
const (
	StageText      Stage = "text"
	StageCalibrate Stage = "calibrate"
	StageSearch    Stage = "search"
	StageConvert   Stage = "convert"
	StageFinalize  Stage = "finalize"
)

// Shared reports whether the stage is shared out among tasks.
func (s Stage) Shared() bool { return s == StageCalibrate || s == StageConvert }

// Stages lists the stages that the conversion has. Errors are those of what cannot be meant.
func (c Conversion) Stages() ([]Stage, error) {
	share, err := c.share()
	if err != nil {
		return nil, err
	}
	var stages []Stage
	if c.speaks(share) {
		stages = append(stages, StageText)
	}
	if share > 0 || c.named() {
		stages = append(stages, StageCalibrate)
	}
	return append(stages, StageSearch, StageConvert, StageFinalize), nil
}
