package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/convert"
	"github.com/mha2mla/mha2mla/internal/engine"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/heal"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/mla"
	"github.com/mha2mla/mha2mla/internal/plan"
	"github.com/mha2mla/mha2mla/internal/report"
	"github.com/mha2mla/mha2mla/internal/search"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// convertFlags are the flags of convert.
type convertFlags struct {
	plan.Request
	gatherFlags
	maxKL   float64
	config  string
	dryRun  bool
	force   bool
	resume  bool
	memory  int64
	verbose bool
	jobs    int
}

func newConvert() *cobra.Command {
	var o convertFlags
	cmd := &cobra.Command{
		Use:   "convert [flags] IN OUT",
		Short: "Convert a checkpoint",
		Long: `convert reads the checkpoint IN and writes OUT, in which multi-head latent
attention takes the place of MHA or GQA. Stock engines load it as a dense
DeepSeek-V3; --layout mha2mla is for the code of the MHA2MLA authors. IN and OUT are .safetensors files or Hugging Face directories. The
configuration is --config, else config.json beside IN, else the one that IN
carries; the new one goes beside OUT, and into it. So does a manifest, by which
verify --integrity finds any change: mha2mla.json, for a file NAME.mha2mla.json.

What is kept is decided by statistics of what goes through the layers. Unless --stats or
--calibrate names any, they are of text that the checkpoint makes itself, seeded from its
weights, so that the same checkpoint always makes the same: it is written token by token
where the weights fit into half of the memory (--memory, or what the machine has), else
random tokens are redrawn in passes over one layer at a time. Such text is mixed into that
of --calibrate, too, so that a narrow one does not break all others; --calibrate-mix says
how much of it counts. --calibrate none does without, and so do --method and --weights that
know of no data, unless they are given some. A dry run says what text it will be, and runs
nothing: how --cache is divided may then come out otherwise.

A tenth of every text is held out, and the divergence on it is measured at the end, on
2048 tokens of each at most. A model that diverges by more than 1 nat per token is
ruined, and said to be. With --max-kl, an output that diverges further is not published;
if there is no text, some is made to measure on.

Nothing appears under its final name before all of it is whole, and with --force
the old OUT stays so long. Until then everything is in a folder of OUT's name with
a dot before and .mha2mla-tmp after it, or in OUT/.mha2mla-tmp if that is a
directory already. What a run that was killed has left there, the next run on OUT
that is accepted removes, and what of the old OUT it had set aside, it puts back. With --resume it
goes on instead: shards that are complete and layers that are healed stay, every
bit checked, if the source, the tokens, the flags and the program are the same;
else it refuses. A run with --resume that is interrupted or fails leaves what is
complete; another removes everything. The smaller --max-shard-size, the less is
left to be done again.

  mha2mla convert --dkv 64 in.safetensors out.safetensors
  mha2mla convert --cache 576 --dtype bf16 model/ converted/
  mha2mla convert --cache 576 --calibrate corpus.txt --heal auto model/ converted/
  mha2mla convert --cache 576 --max-kl 0.3 model/ converted/
  mha2mla convert --method mha2mla --dkv 16 model/ converted/
  mha2mla convert --dry-run --json model/ converted/
  mha2mla convert --resume --max-shard-size 1GB model/ converted/
` + exitHelp,
	}
	takes(cmd, "IN", "OUT")
	sizeFlags(cmd, &o.Request)
	f := cmd.Flags()
	wishFor(f, &o.LatentNorm, "latent-norm", "N", string(layout.NormLinear), "what the norm on the latent does: linear (exact), rms (for fine-tuning)", layout.NormLinear, layout.NormRMS)
	wish(f, &o.QLora, "q-lora", "Q", "none", "query path: none, exact (of full rank, for engines that know no other), or the rank to compress the query to", pointerTo(qLora)).choices = []string{"none", "exact"}
	wishFor(f, &o.Target, "target", "ENGINE", string(engine.All), "engine to write for: "+list(engine.Choices())+"; what it would misread is refused, and what it alone needs is done", engine.Choices()...)
	wishFor(f, &o.Bias, "bias", "B", string(mla.BiasFold), "biases of queries, keys and values: fold (into the weights: every engine, inexact), hf (exact, Transformers alone)", mla.BiasFold, mla.BiasHF)
	wishTo(f, &o.PadToKernel, "pad-to-kernel", "pad with zeros to the sizes of the next GPU kernel (256+64, 512+64)")
	wish(f, &o.DType, "dtype", "T", "keep", "type to write: keep, f32, bf16, f16; keep writes F16 as BF16", plan.ParseDType).choices = []string{"keep", "f32", "bf16", "f16"}
	f.BoolVar(&o.Clamp, "clamp", false, "write the largest value of the type, with a warning, for values that do not fit it")
	wish(f, &o.MaxShard, "max-shard-size", "SIZE", "5GB", "size of the largest file of a directory", size)
	wish(f, &o.Heal, "heal", "STEPS", "", "better every layer on the text that statistics are of: its output projection in closed form (output), all of it in so many steps, or auto: as long as it helps; none: not at all (default output, where there is text)", pointerTo(healSteps)).choices = []string{heal.None.String(), heal.Output.String(), heal.Auto.String()}
	o.gatherFlags.addFlags(cmd)
	o.maxKL = math.Inf(1)
	flag(f, &o.maxKL, "max-kl", "X", "", "write nothing and exit with status 7 if the divergence on text held out is above X nats per token", nonNegativeNumber)
	config := configFlag(cmd, "config")
	f.BoolVar(&o.dryRun, "dry-run", false, "print what would be written and write nothing")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "say where the time went")
	f.BoolVar(&o.force, "force", false, "replace OUT if it exists")
	f.BoolVar(&o.resume, "resume", false, "go on where an interrupted run stopped, and leave what is done if this one is")
	jobsFlag(cmd, &o.jobs)
	flag(f, &o.memory, "memory", "SIZE", "", "memory to stay below, as far as one layer allows (default: what the machine has free)", size)
	output := uiFlags(cmd)
	cmd.RunE = failing(func(cmd *cobra.Command, args []string) error {
		o.config = *config
		if err := o.Check(); err != nil {
			return err
		}
		return runConvert(cmd.Context(), output(), &o, args[0], args[1])
	})
	return cmd
}

// open opens a checkpoint and describes its model.
func open(path, config string) (*family.Model, error) {
	src, err := checkpoint.Open(path)
	if err != nil {
		return nil, err
	}
	m, err := family.Read(src, config)
	if err != nil {
		return nil, errors.Join(err, src.Close())
	}
	return m, nil
}

// openSource opens a checkpoint that is to be converted.
func openSource(path, config string) (*family.Model, error) {
	m, err := open(path, config)
	if err != nil {
		return nil, err
	}
	if err := m.Convertible(); err != nil {
		return nil, errors.Join(err, m.Source.Close())
	}
	return m, nil
}

func runConvert(ctx context.Context, u *ui, o *convertFlags, in, out string) (err error) {
	runtime.GOMAXPROCS(o.jobs)
	if out == "" {
		return &usageError{what: "OUT is empty", tip: "name a .safetensors file or a directory"}
	}
	m, err := openSource(in, o.config)
	if err != nil {
		return err
	}
	defer m.Source.Close()
	output, err := reserve(m, out, o) // before the search, which takes time
	if err != nil {
		return err
	}
	if output != nil {
		defer func() { err = errors.Join(err, output.Discard()) }()
	}
	return planAndConvert(ctx, u, o, m, out, output)
}

// planAndConvert converts m to out, which is reserved.
func planAndConvert(ctx context.Context, u *ui, o *convertFlags, m *family.Model, out string, output *checkpoint.Output) error {
	choices, err := plan.Choose(o.Request, m, plan.Data{})
	if err != nil {
		return err
	}
	if err := checkSpace(choices, out, o, output); err != nil { // before calibration, too
		return err
	}
	share, err := o.share()
	if err != nil {
		return err
	}
	data := o.data(share)
	if choices, err = plan.Choose(o.Request, m, data); err != nil {
		return err
	}
	if !o.dryRun && o.memory == 0 { // before statistics, which take time
		if err := enoughMemory(o.memoryFor(m, choices.Maths(choices.Sizes()), data.Statistics == plan.Present, &statistics{})); err != nil {
			return err
		}
	}
	stats, err := o.statistics(ctx, u, m, share, output)
	if err != nil {
		return err
	}
	defer stats.done()
	if choices, err = plan.Choose(o.Request, m, stats.known(data)); err != nil {
		return err
	}
	sizes := choices.Sizes()
	if !o.dryRun {
		if err := o.checkMemory(u, o.memoryFor(m, choices.Maths(sizes), stats.Reader != nil, stats)); err != nil {
			return err
		}
	}
	if !o.dryRun || !sizes.Planned() {
		task := search.Task{Input: mla.Input{Model: m, Stats: stats.Reader}, Budget: o.resources(), Choices: choices, Held: stats.held, Temp: numbered(output, "rehearsal")}
		if sizes, err = searched(ctx, u, task); err != nil {
			return err
		}
	}
	p, err := plan.New(out, choices, sizes)
	if err != nil {
		return err
	}
	if p.Cache.Saving < 0 {
		u.warn(fmt.Sprintf("the cache grows from %d to %d floats per token and layer", p.Cache.Before, p.Cache.After))
	}
	described := planned{p, o.memoryFor(m, p.Maths, stats.Reader != nil || stats.text != nil, stats), stats.text, o.dryRun}
	if o.dryRun {
		advise(u, p)
		return u.result(described, described.print)
	}
	err = carryOut(ctx, u, o, described, stats.windows, convert.Options{
		Stats: stats.Reader, StatsFiles: stats.files, Text: stats.text, Done: stats.done, Output: output, Measure: o.measurer(u, m, stats.held),
	})
	if err == nil && stats.unmade != nil {
		u.warn(fmt.Sprintf("converted without data, because the model cannot make text: %v", stats.unmade))
	}
	return err
}

// searched returns the sizes, with what the choices leave open found.
func searched(ctx context.Context, u *ui, t search.Task) (plan.Sizes, error) {
	var finish func()
	t.Progress, finish = u.progress("searching")
	defer finish()
	return search.Sizes(ctx, t)
}

// planned is a plan and what it takes. Its fields are the JSON output.
type planned struct {
	*plan.Plan
	Memory int64         `json:"memory_bytes"`              // estimated, with one layer at a time
	Text   *convert.Text `json:"statistics_text,omitempty"` // that statistics are or will be of
	ahead  bool          // nothing is written yet
}

// carryOut converts as planned, healing on windows of tokens if layers are healed, and
// prints what was done.
func carryOut(ctx context.Context, u *ui, o *convertFlags, p planned, windows tokens.Windows, run convert.Options) error {
	var finish func()
	if p.Maths.Heal == heal.None {
		run.Progress, finish = u.progress("converting")
	} else {
		healer, err := newHealer(p.Plan, windows, run.Output)
		if err != nil {
			return err
		}
		defer healer.Close()
		run.Healer = healer
		healer.Progress, finish = u.healing()
	}
	if preparing, prepared := u.progress("making tokens"); preparing != nil {
		run.Preparing = func(done, total int64) {
			if preparing(done, total); done == total {
				prepared()
			}
		}
	}
	run.Budget, run.Version, run.Words, run.Warn = o.resources(), version(), flagWords, u.warn
	result, err := convert.Run(ctx, p.Plan, run)
	finish()
	if err != nil {
		return err
	}
	if o.verbose {
		t := result.Timing
		u.note("time of all layers: read %.2f s, statistics %.2f s, factor %.2f s, heal %.2f s, write %.2f s; tensors carried along %.2f s",
			t.Read.Seconds(), t.Statistics.Seconds(), t.Factor.Seconds(), t.Heal.Seconds(), t.Write.Seconds(), t.Carry.Seconds())
	}
	for _, a := range result.Approximations(p.Plan, run.Stats != nil) {
		u.warn(a.What)
		if !a.Do.Empty() {
			u.hint(a.Do.In(flagWords))
		}
	}
	advise(u, p.Plan)
	judge(u, result.HeldOut)
	done := struct {
		planned
		*convert.Result
		Text *convert.Text `json:"statistics_text,omitempty"`
	}{p, result, result.Text}
	return u.result(done, func(w io.Writer) error {
		return errors.Join(p.print(w), healingOf(result).print(w), printHeldOut(w, result.HeldOut))
	})
}

// advise says what is not written, and who will not load what is.
func advise(u *ui, p *plan.Plan) {
	for _, warning := range p.Warnings {
		u.warn(warning)
	}
	u.remark(p.LeftOut.String())
	for _, advice := range p.Advice() {
		u.hint(advice.In(flagWords))
	}
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
	fmt.Fprintf(t, "files\t%d tensors, %s in %d safetensors file(s)\n", len(p.Tensors), byteSize(p.Bytes), len(p.Shards))
	if p.ahead && p.Text != nil {
		fmt.Fprintf(t, "statistics\t%s\n", p.Text)
	}
	if p.ahead {
		fmt.Fprintf(t, "memory\tabout %s, or more for several layers at a time\n", byteSize(p.Memory))
	}
	return t.Flush()
}
