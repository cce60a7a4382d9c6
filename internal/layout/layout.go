package layout

import (
	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/latent"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// Form names a layout.
type Form string

// The forms in which a converted model is written (design §6 and §7). FormGrouped is no
// latent attention, but GQA with fewer KV heads.
const (
	FormDeepseek  Form = "deepseek"
	FormReference Form = "mha2mla"
	FormGrouped   Form = "gqa"
)

// Layout is a form in which a converted model is written, with all sizes decided (design
// §16).
type Layout interface {
	// About says in a sentence or two what is written, for the model card.
	About() string
	// Target describes the model that is written for source.
	Target(source *family.Model) *family.Model
	// Configure turns the configuration of source into that of target.
	Configure(source, target *family.Model) *family.Config
	// TypedAs names, for an attention tensor of the target, the tensor of the source
	// layer whose type it takes. It is false for a tensor that is copied from the source.
	TypedAs(name string) (string, bool)
	// ResidualScale returns the factor of the residual stream.
	ResidualScale() float64
	// OwnHead reports whether a head that is tied to the embedding is written, too.
	OwnHead() bool
	// Facts lists the sizes that the layout decides.
	Facts(source, target *family.Model) []Fact
	// Convert converts a layer, whose stack it uses up.
	Convert(a *mla.Attention) (Converted, error)
}

// Converted is a converted layer.
type Converted interface {
	// Summary says how much of the layer was kept.
	Summary() Summary
	// Write writes every tensor of the layer, opening each by its name within the
	// layer.
	Write(open func(name string) Sink) error
}

// Healable is a converted layer that can be healed (design §9).
type Healable interface {
	Converted
	// Weights returns the weights that the layer computes with, as it is written but for
	// factors that the layout folds in exactly.
	Weights() (*latent.Weights, error)
	// Replace puts other weights of the same form in their place.
	Replace(w *latent.Weights) error
}

// Summary says how much of a layer was kept, and at what cost.
type Summary struct {
	Energy float64 `json:"energy"` // share of the stack's energy that is kept, as the weights measure it
	// BiasError and NormError are those of mla.Layer.
	BiasError float64 `json:"bias_error,omitempty"`
	NormError float64 `json:"qk_norm_error,omitempty"`

	// KeyWeight is that of mla.Layer, where there is a choice.
	KeyWeight float64 `json:"key_weight,omitempty"`

	Slots   [][]int      `json:"slots,omitempty"`      // rotary pairs that each slot of the shared rotary key serves
	Pairs   [][]int      `json:"kept_pairs,omitempty"` // rotary pairs that each KV head keeps
	Ranking rope.Ranking `json:"-"`                    // the ranking whose first pairs are kept

	// Fallback reports that a fast solution failed its check, see linalg.Eigen.
	Fallback bool `json:"eigen_fallback,omitempty"`
}

// Fact is one size of a model, before and after the conversion. It is empty where the model
// has no such size.
type Fact struct{ Name, Before, After string }

// Sink takes the values of one tensor, in row-major order.
type Sink interface {
	DType() checkpoint.DType     // the type that has values as fine as those that are written
	WriteFloats([]float64) error // writes the next values
	Close() error                // ends the tensor; an error if values are missing
}
