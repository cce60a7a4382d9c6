package option

import (
	"fmt"
	"strconv"
)

// Option is something that a user may ask for.
type Option string

// These are the options that packages below the command line speak of. Options that only the
// command line knows have no names here.
const (
	DKV           Option = "dkv"
	Rank          Option = "kv-lora-rank"
	Cache         Option = "cache"
	RopeDims      Option = "rope-dims"
	RopeTheta     Option = "rope-theta"
	RopeScaling   Option = "rope-scaling"
	RopeSelect    Option = "rope-select"
	RopeThreshold Option = "rope-threshold"
	Method        Option = "method"
	FreqFold      Option = "freq-fold"
	Layout        Option = "layout"
	SVD           Option = "svd"
	Weights       Option = "weights"
	LatentNorm    Option = "latent-norm"
	QLora         Option = "q-lora"
	Target        Option = "target"
	Bias          Option = "bias"
	PadToKernel   Option = "pad-to-kernel"
	LargerCache   Option = "allow-larger-cache"
	IgnoreWindow  Option = "ignore-sliding-window"
	DType         Option = "dtype"
	Clamp         Option = "clamp"
	MaxShard      Option = "max-shard-size"
	Heal          Option = "heal"
	HealOrder     Option = "heal-order"
	Distill       Option = "distill"
	Stats         Option = "stats"
	Calibrate     Option = "calibrate"
	CalibrateMix  Option = "calibrate-mix"
	MadeTokens    Option = "made-tokens"
	Tokens        Option = "tokens"
	TextFile      Option = "text"
	Window        Option = "window"
	MaxTokens     Option = "max-tokens"
	MaxKL         Option = "max-kl"
	Memory        Option = "memory"
	Config        Option = "config"
	Force         Option = "force"
	Resume        Option = "resume"
)

// Alone returns the option as a setting without a value.
func (o Option) Alone() Setting { return Setting{Option: o} }

// Is returns the option as a setting with a value, which it writes as the command line reads
// it.
func (o Option) Is(value any) Setting {
	if v, ok := value.(float64); ok {
		return Setting{o, strconv.FormatFloat(v, 'g', -1, 64)}
	}
	return Setting{o, fmt.Sprint(value)}
}

// Setting is an option with the value that a user may give it. The value is empty if the
// option is meant alone.
type Setting struct {
	Option Option
	Value  string
}

// String writes the setting in plain words, for readers that have no command line.
func (s Setting) String() string {
	if s.Value == "" {
		return string(s.Option)
	}
	return string(s.Option) + " " + s.Value
}

// Words writes a setting, such as a flag of the command line.
type Words func(Setting) string
