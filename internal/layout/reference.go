package layout

import (
	"strconv"

	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// Reference is the layout of the reference implementation of the MHA2MLA paper: its state
// dict and config.mha2mla (design §7).
type Reference struct {
	family.PerHead
	maths mla.Options // that a layer is converted with
}

// NewReference lays out a model converted with o. RankFile names the file of
// rankings, which is needed where the choice of pairs has no other name in the
// configuration.
func NewReference(s family.Shape, o mla.Options, rankFile string) *Reference {
	r := &Reference{family.PerHead{Rank: o.Rank, RopeDim: o.RopeDims, Split: o.Split, Version: string(o.Select)}, o}
	if o.Split {
		r.Rank /= 2
	}
	// The reference chooses uniformly with a step that is a whole number. If dr does not
	// divide D, it would choose another number of pairs.
	even := o.Select == rope.Uniform && s.HeadDim%o.RopeDims == 0
	if o.Rankings != nil || !even && o.Select != rope.High && o.Select != rope.Low {
		r.Version, r.RankFile = family.ByRank, rankFile
	}
	return r
}

// About describes the layout for the model card.
func (r *Reference) About() string {
	return "multi-head latent attention in the form of the MHA2MLA authors' code, which patches a\nmodelling class to run or fine-tune it. Stock engines do not load it"
}

// Target describes the model that is written.
func (r *Reference) Target(source *family.Model) *family.Model {
	t := *source
	t.PerHead, t.Config, t.Source = &r.PerHead, nil, nil
	return &t
}

// Configure adds what the reference's code looks for.
func (r *Reference) Configure(source, target *family.Model) *family.Config {
	c := source.Config.Clone()
	c.Delete("auto_map", "quantization_config")
	c.SetPerHead(&r.PerHead, source.KVHeads)
	return c
}

// TypedAs names the tensor of the source whose type each computed tensor takes.
func (r *Reference) TypedAs(name string) (string, bool) {
	switch name {
	case family.InputNorm, family.OBias:
		return "", false
	case family.QBias:
		return family.QBias, true
	case family.KRBias, family.UpKBias:
		return family.KBias, true
	case family.UpVBias:
		return family.VBias, true
	case family.OProj:
		return family.OProj, r.maths.Trains()
	case family.QProj:
		return family.QProj, true
	case family.DownV, family.UpV:
		return family.VProj, true
	default:
		return family.KProj, true
	}
}

// ResidualScale returns 1, because nothing around the attention changes.
func (r *Reference) ResidualScale() float64 { return 1 }

// OwnHead returns true, because the reference loads with all names required.
func (r *Reference) OwnHead() bool { return true }

// Facts lists the sizes.
func (r *Reference) Facts(source, _ *family.Model) []Fact {
	svd := "joint"
	if r.Split {
		svd = "split"
	}
	return []Fact{
		{"low_rank", "", strconv.Itoa(r.Rank / source.KVHeads)},
		{"rope_dim_for_mla", strconv.Itoa(source.HeadDim), strconv.Itoa(r.RopeDim)},
		{"partial_rope_version", "", r.Version},
		{"svd_init_method", "", svd},
	}
}
