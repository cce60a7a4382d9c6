package plan_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/engine"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/heal"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// maths are the choices of a request about the mathematics.
func maths(t *testing.T, m *family.Model, r plan.Request) mla.Options {
	t.Helper()
	c := choose(t, m, r)
	return c.Maths(c.Sizes())
}

// TestMethods: a method makes the choices that the user has not made.
func TestMethods(t *testing.T) {
	m := testmodel.Llama{KVHeads: 2}.Open(t)
	if o := maths(t, m, plan.Request{}); o.PerHead || o.Select != rope.BySensitivity || o.Weights != mla.WeightsAttention || o.Method != mla.MethodAttention {
		t.Errorf("without a word: %+v", o)
	}
	if o := maths(t, m, plan.Request{Method: mla.MethodMHA2MLA}); !o.PerHead || o.Select != rope.ByNorm || o.Weights != mla.WeightsNone {
		t.Errorf("the paper's method is %+v, want its layout, 2-norm and no weights", o)
	}
	asked := plan.Request{Method: mla.MethodMHA2MLA, Layout: layout.FormDeepseek, Select: rope.Low, Weights: mla.WeightsAttention}
	if o := maths(t, m, asked); o.PerHead || o.Select != rope.Low || o.Weights != mla.WeightsAttention {
		t.Errorf("the user's choices became %+v, want %+v", o, asked)
	}
	if o := maths(t, m, plan.Request{Method: mla.MethodTransMLA}); o.Weights != mla.WeightsBalanced {
		t.Errorf("TransMLA is %+v, want balanced weights", o)
	}
}

// TestCheck: what says nothing about a method is refused before there is a model, be it what
// is done without a word or not.
func TestCheck(t *testing.T) {
	pooled := mla.MethodGroupedMean
	for name, c := range map[string]struct {
		r    plan.Request
		want string
	}{
		"nothing":           {plan.Request{Method: pooled, Cache: 16}, ""},
		"a factorisation":   {plan.Request{Method: pooled, SVD: plan.SVDJoint}, "svd says nothing"},
		"no padding":        {plan.Request{Method: pooled, PadToKernel: plan.PadForTarget}, "pad-to-kernel says nothing"},
		"no query path":     {plan.Request{Method: pooled, QLora: new(layout.QLoraNone)}, "q-lora says nothing"},
		"no healing":        {plan.Request{Method: pooled, Heal: new(heal.None)}, "heal says nothing"},
		"TransMLA's layout": {plan.Request{Method: mla.MethodTransMLA, Layout: layout.FormDeepseek}, "layout does not go with"},
		"the paper's":       {plan.Request{Method: mla.MethodMHA2MLA, Layout: layout.FormDeepseek}, ""},
	} {
		switch err := c.r.Check(); {
		case c.want == "" && err != nil:
			t.Errorf("%s: got %v, want no error", name, err)
		case c.want != "" && (!errors.As(err, new(*plan.UsageError)) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: got %v, want a usage error with %q", name, err, c.want)
		}
	}
}

// TestAim: what follows from an engine is chosen unless the user has, and what it
// would not load is refused before anything is searched for.
func TestAim(t *testing.T) {
	two, lite := testmodel.Llama{KVHeads: 2}.Open(t), testmodel.Llama{KVHeads: 2, Layers: 26}.Open(t)
	none, eight := new(layout.QLoraNone), new(layout.QLora(8))
	for name, c := range map[string]struct {
		r    plan.Request
		lite bool
		want int // q_lora_rank
		err  any
	}{
		"all":                     {r: plan.Request{Target: engine.All}},
		"no word":                 {r: plan.Request{}},
		"vLLM":                    {r: plan.Request{Target: engine.VLLM}},
		"llama.cpp":               {r: plan.Request{Target: engine.LlamaCPP}},
		"llama.cpp, its own norm": {r: plan.Request{Target: engine.LlamaCPP, LatentNorm: layout.NormRMS}, want: two.Hidden},
		"llama.cpp, lite":         {r: plan.Request{Target: engine.LlamaCPP}, lite: true},
		"a rank":                  {r: plan.Request{Target: engine.LlamaCPP, QLora: eight}, want: 8},
		"none asked for":          {r: plan.Request{Target: engine.LlamaCPP, QLora: none}},
		"none, its own norm":      {r: plan.Request{Target: engine.LlamaCPP, QLora: none, LatentNorm: layout.NormRMS}, err: new(*engine.RefusedError)},
		"a rank, lite":            {r: plan.Request{Target: engine.LlamaCPP, QLora: eight}, lite: true, err: new(*engine.RefusedError)},
		"another form":            {r: plan.Request{Layout: layout.FormReference, Target: engine.All}, err: new(*plan.UsageError)},
		"another form, no word":   {r: plan.Request{Layout: layout.FormReference}},
		"without a latent at all": {r: plan.Request{Method: mla.MethodGroupedMean, Target: engine.HF}, err: new(*plan.UsageError)},
	} {
		m := two
		if c.lite {
			m = lite
		}
		choices, err := plan.Choose(c.r, m, plan.Data{})
		switch {
		case c.err != nil:
			if err == nil || !errors.As(err, c.err) {
				t.Errorf("%s: got %v, want %T", name, err, c.err)
			}
		case err != nil:
			t.Errorf("%s: got %v, want no error", name, err)
		case choices.Form() == layout.FormDeepseek:
			p, err := plan.New(t.TempDir()+"/out", choices, choices.Sizes())
			if err != nil || p.Target.MLA.QLoraRank != c.want {
				t.Errorf("%s: %v; q_lora_rank is to be %d", name, err, c.want)
			}
		}
	}
}

// TestHealOrder: outputs are fitted one after the other and steps are taken in both orders, unless
// the user says otherwise, and then the words say how.
func TestHealOrder(t *testing.T) {
	m := testmodel.Llama{KVHeads: 2}.Open(t)
	for name, c := range map[string]struct {
		r     plan.Request
		want  heal.Order
		words string
	}{
		"outputs":            {plan.Request{Heal: new(heal.Output)}, heal.Sequential, "heal output"},
		"outputs, otherwise": {plan.Request{Heal: new(heal.Output), HealOrder: heal.Own}, heal.Own, "heal output heal-order own"},
		"steps":              {plan.Request{Heal: new(heal.Steps(9))}, heal.Both, "heal 9"},
		"steps, otherwise":   {plan.Request{Heal: new(heal.Auto), HealOrder: heal.Sequential}, heal.Sequential, "heal auto heal-order sequential"},
		"none":               {plan.Request{Heal: new(heal.None)}, heal.Sequential, "heal none"},
	} {
		choices := choose(t, m, c.r)
		if got := choices.HealOrder(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		var words []string
		for _, w := range choices.Words(choices.Sizes()) {
			if strings.HasPrefix(string(w.Option), "heal") {
				words = append(words, w.String())
			}
		}
		if got := strings.Join(words, " "); got != c.words {
			t.Errorf("%s: %q, want %q", name, got, c.words)
		}
	}
}

// TestData: what is known of the data decides the measure of loss and whether output
// projections are fitted, and nothing else; what cannot go with them is refused once they
// are known.
func TestData(t *testing.T) {
	m := testmodel.Llama{KVHeads: 2}.Open(t)
	text := plan.Data{Statistics: plan.Present, Tokens: true, Windows: 2}
	for name, c := range map[string]struct {
		r       plan.Request
		d       plan.Data
		weights mla.Weights
		heal    heal.Steps
		err     string
	}{
		"unknown":                 {r: plan.Request{}, weights: mla.WeightsAttention},
		"unknown, asked for":      {r: plan.Request{Weights: mla.WeightsCalibrated, Heal: new(heal.Auto)}, weights: mla.WeightsCalibrated, heal: heal.Auto},
		"none":                    {d: plan.Data{Statistics: plan.Absent}, weights: mla.WeightsAttention},
		"text":                    {d: text, weights: mla.WeightsCalibrated, heal: heal.Output},
		"too short a text":        {d: plan.Data{Statistics: plan.Present, Tokens: true, Windows: 1}, weights: mla.WeightsCalibrated},
		"statistics alone":        {d: plan.Data{Statistics: plan.Present}, weights: mla.WeightsCalibrated},
		"unmade":                  {d: plan.Data{Statistics: plan.Unmade, Tokens: true}, weights: mla.WeightsAttention},
		"unmade, asked for":       {r: plan.Request{Weights: mla.WeightsCalibrated}, d: plan.Data{Statistics: plan.Unmade}, weights: mla.WeightsAttention},
		"no healing":              {r: plan.Request{Heal: new(heal.None)}, d: text, weights: mla.WeightsCalibrated},
		"biases kept":             {r: plan.Request{Bias: mla.BiasHF}, d: text, weights: mla.WeightsCalibrated},
		"another measure":         {r: plan.Request{Weights: mla.WeightsNorm}, d: text, weights: mla.WeightsNorm, heal: heal.Output},
		"TransMLA":                {r: plan.Request{Method: mla.MethodTransMLA}, d: text, weights: mla.WeightsBalanced},
		"calibrated, by nothing":  {r: plan.Request{Weights: mla.WeightsCalibrated}, d: plan.Data{Statistics: plan.Absent}, err: "needs statistics"},
		"attention, with a text":  {r: plan.Request{Weights: mla.WeightsAttention}, d: text, err: "without statistics"},
		"healing without tokens":  {r: plan.Request{Heal: new(heal.Auto)}, d: plan.Data{Statistics: plan.Present}, err: "needs tokens"},
		"an order of nothing":     {r: plan.Request{Heal: new(heal.None), HealOrder: heal.Own}, d: text, err: "heal-order says nothing"},
		"an order without data":   {r: plan.Request{HealOrder: heal.Own}, d: plan.Data{Statistics: plan.Absent}, err: "heal-order says nothing"},
		"an order":                {r: plan.Request{HealOrder: heal.Own}, d: text, weights: mla.WeightsCalibrated, heal: heal.Output},
		"healing and kept biases": {r: plan.Request{Heal: new(heal.Auto), Bias: mla.BiasHF}, d: text, err: "bias hf"},
	} {
		for way, ask := range map[string]func() (*plan.Choices, error){
			"at once": func() (*plan.Choices, error) { return plan.Choose(c.r, m, c.d) },
			"later": func() (*plan.Choices, error) {
				return choose(t, m, c.r).Learn(c.d)
			},
		} {
			choices, err := ask()
			switch {
			case c.err != "":
				if !errors.As(err, new(*plan.UsageError)) || !strings.Contains(err.Error(), c.err) {
					t.Errorf("%s, %s: got %v, want a usage error with %q", name, way, err, c.err)
				}
			case err != nil:
				t.Errorf("%s, %s: got %v, want no error", name, way, err)
			default:
				if o := choices.Maths(choices.Sizes()); o.Weights != c.weights || o.Heal != c.heal {
					t.Errorf("%s, %s: weights %s and healing %s, want %s and %s", name, way, o.Weights, o.Heal, c.weights, c.heal)
				}
			}
		}
	}
}
