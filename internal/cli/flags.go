package cli

import (
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mha2mla/mha2mla/internal/engine"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/heal"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/report"
	"github.com/mha2mla/mha2mla/internal/rope"
)

// parsed is a flag whose text a function turns into a value.
type parsed[T any] struct {
	value   *T
	text    string
	kind    string
	parse   func(string) (T, error)
	choices []string // for completion
}

func (p *parsed[T]) String() string { return p.text }
func (p *parsed[T]) Type() string   { return p.kind }

// Choices lists the words to choose from, if it is about words.
func (p *parsed[T]) Choices() []string { return p.choices }
func (p *parsed[T]) Set(text string) error {
	v, err := p.parse(text)
	if err == nil {
		*p.value, p.text = v, text
	}
	return err
}

// flag adds a parsed flag. Preset, if not empty, is its default.
func flag[T any](flags *pflag.FlagSet, value *T, name, kind, preset, help string, parse func(string) (T, error)) *parsed[T] {
	if preset != "" {
		v, err := parse(preset)
		if err != nil {
			panic(err) // a default of the program's own
		}
		*value = v
	}
	return wish(flags, value, name, kind, preset, help, parse)
}

// wish adds a parsed flag that leaves its value alone unless it is given, so that the value
// tells whether it was. Without is what the help says is done without it; it may be empty.
func wish[T any](flags *pflag.FlagSet, value *T, name, kind, without, help string, parse func(string) (T, error)) *parsed[T] {
	p := &parsed[T]{value: value, text: without, kind: kind, parse: parse}
	flags.Var(p, name, help)
	return p
}

// choice adds a flag that takes one of the given words.
func choice[T ~string](flags *pflag.FlagSet, value *T, name, kind, preset, help string, words ...T) {
	flag(flags, value, name, kind, preset, help, oneOf(words...)).choices = wordsOf(words)
}

// wishFor adds a wish that takes one of the given words.
func wishFor[T ~string](flags *pflag.FlagSet, value *T, name, kind, without, help string, words ...T) {
	wish(flags, value, name, kind, without, help, oneOf(words...)).choices = wordsOf(words)
}

// padFlag adds the flags about padding. The first is given by its name alone, or with the
// backend to pad for.
func padFlag(flags *pflag.FlagSet, r *plan.Request) {
	words := []string{plan.PadForTarget}
	for _, b := range engine.Backends() {
		words = append(words, b.Name)
	}
	wishFor(flags, &r.PadToKernel, string(option.PadToKernel), "BACKEND", "", "pad with zeros to the sizes that a backend takes: "+list(words)+" (what --target demands: the default)", words...)
	flags.Lookup(string(option.PadToKernel)).NoOptDefVal = plan.PadForTarget
	flags.BoolVar(&r.LargerCache, string(option.LargerCache), false, "pad even where the cache becomes larger than the source's")
}

// pointerTo parses as parse does, for a value that is nil as long as nothing is given.
func pointerTo[T any](parse func(string) (T, error)) func(string) (*T, error) {
	return func(text string) (*T, error) {
		v, err := parse(text)
		return &v, err
	}
}

// positive parses an integer above 0.
func positive(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("%q is not a positive integer", text)
	}
	return n, nil
}

// natural parses an integer of at least 0.
func natural(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is not an integer of at least 0", text)
	}
	return n, nil
}

// positiveNumber parses a number above 0.
func positiveNumber(text string) (float64, error) {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v > 0) || math.IsInf(v, 0) {
		return 0, fmt.Errorf("%q is not a positive number", text)
	}
	return v, nil
}

// nonNegativeNumber parses a number of at least 0.
func nonNegativeNumber(text string) (float64, error) {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v >= 0) || math.IsInf(v, 0) {
		return 0, fmt.Errorf("%q is not a number of at least 0", text)
	}
	return v, nil
}

// severalTokens parses a number of tokens of which one predicts another.
func severalTokens(text string) (int, error) {
	n, err := positive(text)
	if err == nil && n < 2 {
		err = fmt.Errorf("%d is not enough: it takes two tokens to predict one", n)
	}
	return n, err
}

// size parses a number of bytes with a decimal or a binary unit.
func size(text string) (int64, error) {
	units := []struct {
		name   string
		factor float64
	}{
		{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
		{"KB", 1e3}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
	}
	number, factor := text, 1.0
	for _, u := range units {
		if rest, ok := strings.CutSuffix(text, u.name); ok {
			number, factor = strings.TrimSpace(rest), u.factor
			break
		}
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || !(v*factor >= 1 && v*factor < 1<<62) {
		return 0, fmt.Errorf("%q is not a size such as 5GB or 512MiB", text)
	}
	return int64(v * factor), nil
}

// oneOf parses one of the given words.
func oneOf[T ~string](words ...T) func(string) (T, error) {
	return func(text string) (T, error) {
		if slices.Contains(words, T(text)) {
			return T(text), nil
		}
		return "", fmt.Errorf("%q is not one of %s", text, list(words))
	}
}

// qLora parses the values of --q-lora.
func qLora(text string) (layout.QLora, error) {
	switch text {
	case "none":
		return layout.QLoraNone, nil
	case "exact":
		return layout.QLoraExact, nil
	}
	rank, err := positive(text)
	if err != nil {
		return 0, fmt.Errorf("%q is not none, exact or a positive integer", text)
	}
	return layout.QLora(rank), nil
}

// list writes words for a message or a help text.
func list[T ~string](words []T) string {
	return strings.Join(wordsOf(words), ", ")
}

// wordsOf returns words as what they are.
func wordsOf[T ~string](words []T) []string {
	names := make([]string, len(words))
	for i, w := range words {
		names[i] = string(w)
	}
	return names
}

// sizeFlags adds the flags about what is kept, which inspect and convert share.
func sizeFlags(cmd *cobra.Command, r *plan.Request) {
	f := cmd.Flags()
	wish(f, &r.DKV, "dkv", "N", "", "latent floats per KV head, the paper's d_kv (default: half of head_dim)", positive)
	wish(f, &r.Rank, "kv-lora-rank", "R", "", "latent floats in all: dkv times the number of KV heads", positive)
	wish(f, &r.Cache, "cache", "N", "", "cache floats per token and layer; how they are divided is searched for", positive)
	wish(f, &r.RopeDims, "rope-dims", "N", "", "size of the shared rotary key (default: half of head_dim); in the mha2mla layout of each KV head's (an eighth)", positive)
	wish(f, &r.Theta, "rope-theta", "T", "", "base of the rotary key's frequencies (default: searched for)", positiveNumber)
	wishFor(f, &r.Scaling, "rope-scaling", "S", "", "of the rotary key's frequencies, for a source that has llama3 or yarn scaling: none, yarn (default: searched for with --rope-theta, and none where that is given)", plan.ScalingNone, plan.ScalingYarn)
	wish(f, &r.FreqFold, "freq-fold", "N", "", "with --method transmla: adjacent rotary pairs that fold together (default: head_dim / rope-dims)", positive)
	wish(f, &r.Select, "rope-select", "S", string(rope.BySensitivity), "which rotary pairs may keep their rotation: "+list(rope.Strategies())+", or a FILE.pth of 2-norm ranks", plan.ParseSelect).choices = wordsOf(rope.Strategies())
	wish(f, &r.Threshold, "rope-threshold", "T", "", "keep the pairs with at least this share of the sensitivity, instead of a fixed number", positiveNumber)
	wishFor(f, &r.Method, "method", "M", string(mla.MethodAttention), "how to convert: "+list(mla.Methods())+" (published ones, for comparison)", mla.Methods()...)
	wishFor(f, &r.Layout, "layout", "L", string(layout.FormDeepseek), "form to write: deepseek (stock engines), mha2mla (the MHA2MLA authors' code)", layout.FormDeepseek, layout.FormReference)
	wishFor(f, &r.SVD, "svd", "S", "", "in the mha2mla layout: keys and values are factored joint (default) or split", plan.SVDJoint, plan.SVDSplit)
	wishFor(f, &r.Weights, "weights", "W", string(mla.WeightsAttention), "what the factorisation preserves: "+list(mla.AllWeights()), mla.AllWeights()...)
	f.BoolVar(&r.IgnoreWindow, "ignore-sliding-window", false, "convert a model whose sliding window is shorter than its context, as if it had none")
}

// jobsFlag adds --jobs. Its default is what the runtime uses, which keeps to the quota of a
// container. More than there are would only cost memory.
func jobsFlag(cmd *cobra.Command, jobs *int) {
	flag(cmd.Flags(), jobs, "jobs", "N", fmt.Sprint(runtime.GOMAXPROCS(0)), "processors to use", func(text string) (int, error) {
		n, err := positive(text)
		return min(n, runtime.NumCPU()), err
	})
}

// ranksFlag adds --tp.
func ranksFlag(cmd *cobra.Command, ranks *int) {
	wish(cmd.Flags(), ranks, "tp", "N", "", "say how many bytes of cache a token takes on each of N ranks of tensor parallelism, all of which hold a whole latent", positive)
}

// printRanks prints what a token takes on each rank, if that was asked for, as a row of a
// table.
func printRanks(t io.Writer, r *family.RankCache) {
	if r != nil {
		fmt.Fprintf(t, "cache, bytes per token on each of %d ranks\t%d\t%d (%s)\n", r.Ranks, r.Source, r.Converted, report.Change(r.Saving))
	}
}

// configFlag adds a flag that names a configuration.
func configFlag(cmd *cobra.Command, config *string, name string) {
	cmd.Flags().StringVar(config, name, "", "configuration in `FILE`, instead of the one beside the checkpoint")
}

// healSteps parses the values of --heal.
func healSteps(text string) (heal.Steps, error) {
	for _, way := range []heal.Steps{heal.None, heal.Output, heal.Auto} {
		if text == way.String() {
			return way, nil
		}
	}
	steps, err := positive(text)
	if err != nil {
		return 0, fmt.Errorf("%q is not none, output, auto or a positive integer", text)
	}
	return heal.Steps(steps), nil
}
