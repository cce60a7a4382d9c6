package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/engine"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/heal"
	"github.com/mha2mla/mha2mla/internal/job"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/report"
)

func newConvert() *cobra.Command {
	var o job.Conversion
	var calibrate string
	var verbose bool
	var ranks int
	cmd := &cobra.Command{
		Use:   "convert [flags] IN OUT",
		Short: "Convert a checkpoint",
		Long: `convert reads the checkpoint IN and writes OUT, in which multi-head latent
attention takes the place of MHA or GQA. Stock engines load it as a dense
DeepSeek-V3; --layout mha2mla is for the code of the MHA2MLA authors. IN and
OUT are .safetensors files, .gguf files or Hugging Face directories. The
configuration is --config, else config.json beside IN, else the one that IN
carries; the new one goes beside OUT, and into it. So does a manifest, by
which verify --integrity finds any change: mha2mla.json, beside a file
NAME.safetensors NAME.mha2mla.json, beside others NAME.gguf.mha2mla.json.
A .gguf file is for llama.cpp and Ollama, has all in itself, and a
NAME.Modelfile beside it. If --max-shard-size is given and it would be
larger, it becomes NAME-00001-of-00002.gguf and so on.

What is kept is decided by statistics of what goes through the layers. Unless
--stats or --calibrate names any, they are of text that the checkpoint makes
itself, seeded from its weights, so that the same checkpoint always makes the
same: it is written token by token where the weights fit into half of the
memory (--memory, or what the machine has), else random tokens are redrawn in
passes over one layer at a time. Such text is mixed into that of --calibrate,
too, so that a narrow one does not break all others; --calibrate-mix says how
much of it counts. --calibrate none does without, and so do --method and
--weights that know of no data, unless they are given some. A dry run says
what text it will be, and runs nothing: how --cache is divided may then come
out otherwise.

A tenth of every text is held out, and the divergence on it is measured at the
end, on 2048 tokens of each at most. A model that diverges by more than 1 nat
per token is ruined, and said to be. With --max-kl, an output that diverges
further is not published; if there is no text, some is made to measure on.

Nothing appears under its final name before all of it is whole, and with
--force the old OUT stays so long. Until then everything is in a folder of
OUT's name with a dot before and .mha2mla-tmp after it, or in OUT/.mha2mla-tmp
if that is a directory already. What a run that was killed has left there, the
next run on OUT that is accepted removes, and what of the old OUT it had set
aside, it puts back. With --resume it goes on instead: shards that are
complete and layers that are healed stay, every bit checked, if the source,
the tokens, the flags and the program are the same; else it refuses. A run
with --resume, or one that heals in steps or distils, leaves what is complete
if it is interrupted or fails; another removes everything. The smaller
--max-shard-size, the less is left to be done again.`,
		Example: `  mha2mla convert --dkv 64 in.safetensors out.safetensors
  mha2mla convert --cache 576 --dtype bf16 model/ converted/
  mha2mla convert --cache 576 model.gguf converted.gguf
  mha2mla convert --cache 576 --calibrate corpus.txt --heal auto model/ out/
  mha2mla convert --cache 576 --max-kl 0.3 model/ converted/
  mha2mla convert --method mha2mla --dkv 16 model/ converted/
  mha2mla convert --dry-run --json model/ converted/
  mha2mla convert --resume --max-shard-size 1GB model/ converted/`,
	}
	takes(cmd, "IN", "OUT")
	conversionFlags(cmd, &o, &calibrate)
	f := cmd.Flags()
	f.BoolVar(&o.DryRun, "dry-run", false, "print what would be written and write nothing")
	f.BoolVarP(&verbose, "verbose", "v", false, "say where the time went")
	f.BoolVar(&o.Resume, "resume", false, "go on where an interrupted run stopped, and leave what is done if this one is")
	ranksFlag(cmd, &ranks)
	jobsFlag(cmd, &o.Jobs)
	memoryFlag(cmd, &o.Memory)
	output := uiFlags(cmd)
	cmd.RunE = failing(func(cmd *cobra.Command, args []string) error {
		if err := setConversion(&o, args, calibrate); err != nil {
			return err
		}
		return runConvert(cmd.Context(), output(), o, verbose, ranks)
	})
	return cmd
}

// conversionFlags adds the flags that say what a conversion is, and on what. Calibrate becomes
// the value of --calibrate.
func conversionFlags(cmd *cobra.Command, o *job.Conversion, calibrate *string) {
	sizeFlags(cmd, &o.Request)
	f := cmd.Flags()
	wishFor(f, &o.LatentNorm, "latent-norm", "N", string(layout.NormLinear), "what the norm on the latent does: linear (exact), rms (for fine-tuning)", layout.NormLinear, layout.NormRMS)
	wish(f, &o.QLora, "q-lora", "Q", "none", "query path: none, exact (of full rank, for engines that know no other), or the rank to compress the query to", pointerTo(qLora)).choices = []string{"none", "exact"}
	wishFor(f, &o.Target, "target", "ENGINE", string(engine.All), "engine to write for: "+list(engine.Choices())+"; what it would misread is refused, and what it alone needs is done", engine.Choices()...)
	wishFor(f, &o.Bias, "bias", "B", string(mla.BiasFold), "biases of queries, keys and values: fold (into the weights: every engine, inexact), hf (exact, Transformers alone)", mla.BiasFold, mla.BiasHF)
	padFlag(f, &o.Request)
	wish(f, &o.DType, "dtype", "T", "keep", "type to write: keep, f32, bf16, f16, for .gguf files q8_0; keep writes F16 as BF16, and what was quantised as BF16, or in .gguf files as Q8_0", plan.ParseDType).choices = []string{"keep", "f32", "bf16", "f16", "q8_0"}
	f.BoolVar(&o.Clamp, "clamp", false, "write the largest value of the type, with a warning, for values that do not fit it")
	wish(f, &o.MaxShard, "max-shard-size", "SIZE", "5GB", "size of the largest file of a directory, or part of a GGUF file", size)
	wish(f, &o.Heal, "heal", "STEPS", "", "better every layer on the text that statistics are of: its output projection in closed form (output), all of it in so many steps, or auto: as long as it helps; none: not at all (default output, where there is text)", pointerTo(healSteps)).choices = []string{heal.None.String(), heal.Output.String(), heal.Auto.String()}
	wishFor(f, &o.HealOrder, "heal-order", "O", "", "what layers are healed on: own (the source's stream, each layer by itself), sequential (what the healed layers before make of the text), both (own, and then W_o sequential); both unless --heal output, which is sequential", heal.Orders()...)
	wish(f, &o.Distill, "distill", "STEPS", "", "after that train all layers together, in so many steps, to predict what the source predicts", positive)
	dataFlags(cmd, &o.Data, calibrate)
	wish(f, &o.MaxKL, "max-kl", "X", "", "write nothing and exit with status 7 if the divergence on text held out is above X nats per token", pointerTo(nonNegativeNumber))
	configFlag(cmd, &o.Config, "config")
	f.BoolVar(&o.Force, "force", false, "replace OUT if it exists")
}

// memoryFlag adds --memory.
func memoryFlag(cmd *cobra.Command, memory *int64) {
	flag(cmd.Flags(), memory, "memory", "SIZE", "", "memory to stay below, as far as one layer allows (default: what the machine has free)", size)
}

// setConversion says what the arguments IN and OUT, and the value of --calibrate, mean.
func setConversion(o *job.Conversion, args []string, calibrate string) error {
	if err := o.Check(); err != nil {
		return err
	}
	setCalibrate(&o.Data, calibrate)
	o.In, o.Out, o.Version, o.Build, o.Words = args[0], args[1], version(), build, flagWords
	if o.Out == "" {
		return &usageError{what: "OUT is empty", tip: "name a directory, or a .safetensors or .gguf file"}
	}
	return nil
}

// runConvert converts and prints the outcome.
func runConvert(ctx context.Context, u *ui, o job.Conversion, verbose bool, ranks int) error {
	done, err := o.Run(ctx, u)
	if err != nil {
		return err
	}
	p := planned{Plan: done.Plan, Memory: done.Memory, Text: done.Text, Foretold: done.Foretold, ahead: done.Result == nil}
	if ranks > 0 {
		p.Ranks = done.Plan.PerRank(ranks)
	}
	if p.ahead {
		advise(u, p.Plan)
		return u.result(p, p.print)
	}
	if verbose {
		noteTiming(u, done.Result.Timing)
	}
	if err := printConverted(u, p, done); err != nil {
		return err
	}
	if done.Unmade != nil {
		u.Warn(option.Textf("converted without data, because the model cannot make text: %v", done.Unmade))
	}
	return nil
}

// noteTiming says where the time went.
func noteTiming(u *ui, t convert.Timing) {
	u.note("time of all layers: read %.2f s, statistics %.2f s, factor %.2f s, heal %.2f s, write %.2f s; tensors carried along %.2f s",
		t.Read.Seconds(), t.Statistics.Seconds(), t.Factor.Seconds(), t.Heal.Seconds(), t.Write.Seconds(), t.Carry.Seconds())
}

// printConverted prints what was written, after what is worth knowing of it.
func printConverted(u *ui, p planned, done *job.Outcome) error {
	result := done.Result
	for _, a := range result.Approximations(p.Plan, done.Calibrated) {
		u.Warn(option.Plain(a.What))
		if !a.Do.Empty() {
			u.Hint(a.Do)
		}
	}
	advise(u, p.Plan)
	judge(u, result.HeldOut)
	said := struct {
		planned
		*convert.Result
		Text *convert.Text `json:"statistics_text,omitempty"`
	}{p, result, result.Text}
	return u.result(said, func(w io.Writer) error {
		return errors.Join(p.print(w), healingOf(result).print(w), distilledOf(result).print(w), printHeldOut(w, result.HeldOut))
	})
}

// planned is a plan and what it takes. Its fields are the JSON output.
type planned struct {
	*plan.Plan
	Memory        int64             `json:"memory_bytes"`              // estimated, with one layer at a time
	Text          *convert.Text     `json:"statistics_text,omitempty"` // that statistics are or will be of
	Ranks         *family.RankCache `json:"cache_per_rank,omitempty"`  // nil unless somebody asks for ranks
	*job.Foretold                   // how long healing will take; nil if that is known or nothing is healed in steps
	ahead         bool              // nothing is written yet
}

// printForetold prints how long healing and training will take.
func printForetold(w io.Writer, f *job.Foretold) {
	if f == nil {
		return
	}
	took := func(seconds float64) time.Duration {
		return time.Duration(seconds * float64(time.Second)).Round(time.Second)
	}
	if f.Making > 0 {
		fmt.Fprintf(w, "making text\tabout %v, %d tokens to learn from\n", took(f.Making), f.Made)
	}
	if f.Heal > 0 {
		fmt.Fprintf(w, "healing\tabout %v, at %.2g s a step of one layer, as measured here\n", took(f.Heal), f.HealStep)
	}
	if f.Distill > 0 {
		fmt.Fprintf(w, "distilling\tabout %v, at %.2g s a step, as measured here\n", took(f.Distill), f.DistillStep)
	}
}

// advise says what is not written, and who will not load what is.
func advise(u *ui, p *plan.Plan) {
	for _, warning := range p.Warnings {
		u.Warn(option.Plain(warning))
	}
	u.remark(p.LeftOut.String())
	for _, advice := range p.Advice() {
		u.Hint(advice)
	}
}

// firstPart names the file that stands for an output which is a file and is split.
func (p planned) firstPart() string {
	if p.Whole || len(p.Shards) == 1 {
		return ""
	}
	return fmt.Sprintf(", of which engines are given %s", printable(p.Shards[0].File))
}

// print prints what was or will be written.
func (p planned) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s\t%d layers, %d heads, %d KV heads of %d\n", printable(p.Input), p.Source.Layers, p.Source.Heads, p.Source.KVHeads, p.Source.HeadDim)
	var sizes []string
	for _, f := range p.Layout.Facts(p.Source, p.Target) {
		text := f.Name + " " + f.After
		if f.Before != "" {
			text += fmt.Sprintf(" (source %s)", f.Before)
		}
		sizes = append(sizes, text)
	}
	fmt.Fprintf(t, "%s\t%s\n", printable(p.Output), strings.Join(sizes, ", "))
	fmt.Fprintf(t, "KV cache\t%d → %d floats per token and layer (%s)\n", p.Cache.Before, p.Cache.After, report.Change(p.Cache.Saving))
	if r := p.Ranks; r != nil {
		fmt.Fprintf(t, "on each of %d ranks\t%d → %d bytes per token (%s)\n", r.Ranks, r.Source, r.Converted, report.Change(r.Saving))
	}
	fmt.Fprintf(t, "files\t%d tensors, %s in %d %s file(s)%s\n", len(p.Tensors), report.Size(p.Bytes), len(p.Shards), p.Container(), p.firstPart())
	if p.ahead && p.Text != nil {
		fmt.Fprintf(t, "statistics\t%s\n", p.Text)
	}
	if p.ahead {
		fmt.Fprintf(t, "memory\tabout %s, or more for several layers at a time\n", report.Size(p.Memory))
		printForetold(t, p.Foretold)
	}
	return t.Flush()
}
