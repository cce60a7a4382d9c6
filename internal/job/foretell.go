package job

import (
	"context"
	"time"

	"github.com/mha2mla/mha2mla/internal/distill"
	"github.com/mha2mla/mha2mla/internal/heal"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/plan"
)

// Foretold says how long the healing and the training of a conversion will take on this machine,
// by the time that one step of either takes. Its fields are JSON output.
type Foretold struct {
	HealStep    float64 `json:"seconds_per_healing_step,omitempty"` // of one layer
	Heal        float64 `json:"healing_seconds,omitempty"`          // of all layers; at least, where nobody has named the steps
	DistillStep float64 `json:"seconds_per_distilling_step,omitempty"`
	Distill     float64 `json:"distilling_seconds,omitempty"`
	Made        int     `json:"tokens_made_to_learn_from,omitempty"` // beside those of statistics
	Making      float64 `json:"making_seconds,omitempty"`            // these; 0 if their time is not known
}

// foretell measures how long the healing and the training that p has will take; nil if it has
// neither. The weights of a step do not matter for its time, so that one layer is
// converted without statistics.
func (r *run) foretell(ctx context.Context, p *plan.Plan, stats *statistics) (*Foretold, error) {
	steps := p.Maths.Heal.Least()
	if steps == 0 && p.Maths.Distill == 0 {
		return nil, nil
	}
	attention, err := mla.Input{Model: r.model, Method: p.Maths.Method}.Read(0)
	if err != nil {
		return nil, err
	}
	converted, err := p.Layout.Convert(attention)
	if err != nil {
		return nil, err
	}
	w, err := converted.(layout.Healable).Weights()
	if err != nil {
		return nil, err
	}
	f := new(Foretold)
	if steps > 0 {
		step, err := heal.StepTime(ctx, w)
		if err != nil {
			return nil, err
		}
		f.HealStep, f.Heal = step.Seconds(), (step * time.Duration(steps*r.model.Layers)).Seconds()
	}
	if p.Maths.Distill > 0 {
		step, err := distill.StepTime(ctx, r.model, w, stats.windows.Longest())
		if err != nil {
			return nil, err
		}
		f.DistillStep, f.Distill = step.Seconds(), (step * time.Duration(p.Maths.Distill)).Seconds()
	}
	if made := r.lessonPlan(p.Maths, stats); made != nil {
		making, err := made.WritingTime(ctx, r.model)
		if err != nil {
			return nil, err
		}
		f.Made, f.Making = made.Tokens, making.Seconds()
	}
	return f, nil
}
