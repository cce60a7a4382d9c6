package job

import (
	"context"

	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/verify"
)

// Verification is a comparison of a converted checkpoint with its source that somebody asks
// for.
type Verification struct {
	Source, Converted             string
	SourceConfig, ConvertedConfig string // files to take the configurations from; empty: the checkpoints have them
	Reading                              // of the tokens to compare on
	CacheBits                     int    // to which what is cached is quantised; 0: it is not
	MaxKL                         *float64
	Ranks                         int   // of tensor parallelism to tell the cache of; 0: none
	LogProbs                      Lines // of verify.LogProb
}

// Verified is what was measured, and what the conversion has said of itself.
type Verified struct {
	*verify.Report
	Conversion *convert.Result // nil: nothing
}

// Run compares.
func (c Verification) Run(ctx context.Context, v View) (*Verified, error) {
	Limits{}.Set()
	source, err := Open(c.Source, c.SourceConfig)
	if err != nil {
		return nil, err
	}
	defer source.Source.Close()
	converted, err := Open(c.Converted, c.ConvertedConfig)
	if err != nil {
		return nil, err
	}
	defer converted.Source.Close()
	if err := c.LogProbs.reserve(source.Source); err != nil { // before the work, which takes time
		return nil, err
	}
	windows, err := c.Windows(ctx, source)
	if err != nil {
		return nil, err
	}
	if err := Room(verify.Memory(source, converted, windows)); err != nil {
		return nil, err
	}
	conversion, err := convert.ReadResult(c.Converted)
	if err != nil {
		return nil, err
	}
	progress, finish := v.Progress("verifying")
	defer finish()
	var report *verify.Report
	err = c.LogProbs.write(source.Source, func(write func(any) error) error {
		report, err = verify.Compare(ctx, source, converted, windows, progress, c.options(write)...)
		return err
	})
	if err == nil && c.Ranks > 0 {
		report.Cache.Ranks = family.PerRank(c.Ranks, source, converted, 0)
	}
	return &Verified{report, conversion}, err
}

// options returns what is asked of the comparison itself. Write takes a line of the
// log-probabilities; it is nil if there is no file for them.
func (c Verification) options(write func(any) error) []verify.Option {
	var options []verify.Option
	if c.CacheBits != 0 {
		options = append(options, verify.CacheBits(c.CacheBits))
	}
	if write != nil {
		options = append(options, verify.LogProbs(func(p verify.LogProb) error { return write(p) }))
	}
	return options
}

// Judge is an error if the divergence is above the bound that is asked for.
func (c Verification) Judge(r *Verified) error {
	if c.MaxKL != nil && r.KL > *c.MaxKL {
		return &ThresholdError{KL: r.KL, Most: *c.MaxKL}
	}
	return nil
}
