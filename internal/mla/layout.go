package mla

import (
	"strconv"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/heal"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// Layout is a form in which a converted model is written, with all sizes
// decided.
type Layout interface {
	// About says in a sentence or two what is written, for the model card.
	About() string
	// Target describes what is written of source.
	Target(source *family.Model) *family.Model
	// Configure turns the configuration of source into that of target.
	Configure(source, target *family.Model) *family.Config
	// TypedAs names, for an attention tensor of the target, the tensor of the source
	// layer whose type it takes. It is false for one that the source has already.
	TypedAs(name string) (string, bool)
	// ResidualScale is the factor of the residual stream.
	ResidualScale() float64
	// OwnHead reports whether a head that is tied to the embedding is written, too.
	OwnHead() bool
	// Facts lists the sizes that the layout decides.
	Facts(source, target *family.Model) []Fact
	// Flags are the words that ask for this conversion on the command line.
	Flags() []string
	// Convert converts a layer, whose stack it uses up.
	Convert(a *Attention) (Converted, error)
}

// Converted is a converted layer.
type Converted interface {
	Summary() Summary
	// Write writes every tensor of the layer, opening each by its name within the
	// layer.
	Write(p calib.Projections, open func(name string) Sink) error
}

// Summary is what was kept of a layer.
type Summary struct {
	Energy float64 `json:"energy"` // share of the stack's energy, as the weights measure it
	// BiasError and NormError are those of Layer.
	BiasError float64 `json:"bias_error,omitempty"`
	NormError float64 `json:"qk_norm_error,omitempty"`

	// KeyWeight is that of Layer, where there is a choice.
	KeyWeight float64 `json:"key_weight,omitempty"`

	Slots   [][]int      `json:"slots,omitempty"`      // rotary pairs that each slot of the shared rotary key serves
	Pairs   [][]int      `json:"kept_pairs,omitempty"` // rotary pairs that each KV head keeps
	Ranking rope.Ranking `json:"-"`                    // of which Pairs are the first

	// Fallback reports that a fast solution failed its check, see linalg.Eigen.
	Fallback bool `json:"eigen_fallback,omitempty"`
}

// Fact is one size of a model, before and after; empty where it has none.
type Fact struct{ Name, Before, After string }

// number writes a number to so many digits; -1: to all of them.
func number(v float64, digits int) string { return strconv.FormatFloat(v, 'g', digits, 64) }

// Sink takes the values of one tensor, in row-major order.
type Sink interface {
	DType() checkpoint.DType
	WriteFloats([]float64) error
	Close() error
}

// writeTensor writes one tensor of the given width through fill.
func writeTensor(sink Sink, width int, fill func(*rowWriter) error) error {
	if err := fill(&rowWriter{sink: sink, row: make([]float64, width)}); err != nil {
		return err
	}
	return sink.Close()
}

// writeVector writes a tensor of one dimension.
func writeVector(sink Sink, v []float64) error {
	if err := sink.WriteFloats(v); err != nil {
		return err
	}
	return sink.Close()
}

// mathsFlags are the words that ask for the choices of o, sizes first.
func (o *Options) mathsFlags() []string {
	words := o.sizeFlags()
	if o.Heal != heal.None || !o.Method.published() { // ours heals unless it is told not to
		words = append(words, "--heal", o.Heal.String())
	}
	return words
}

// sizeFlags are those without healing.
func (o *Options) sizeFlags() []string {
	words := []string{"--kv-lora-rank", strconv.Itoa(o.Rank)}
	if o.Threshold > 0 {
		words = append(words, "--rope-threshold", number(o.Threshold, -1))
	} else {
		words = append(words, "--rope-dims", strconv.Itoa(o.RopeDims))
	}
	if o.Method == MethodTransMLA {
		if words = append(words, "--method", string(o.Method)); o.FreqFold > 0 {
			words = append(words, "--freq-fold", strconv.Itoa(o.FreqFold))
		}
		return words
	}
	if o.Form != FormReference { // there every pair keeps its own frequency
		words = append(words, "--rope-theta", number(o.RopeTheta, -1))
		if o.RopeScaling != nil {
			words = append(words, "--rope-scaling", o.RopeScaling.Kind)
		}
	}
	return append(words, "--rope-select", string(o.Select), "--weights", string(o.Weights))
}
