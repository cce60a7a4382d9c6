package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/engine"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/fault"
	"github.com/mha2mla/mha2mla/internal/manifest"
	"github.com/mha2mla/mha2mla/internal/option"
	"github.com/mha2mla/mha2mla/internal/plan"
)

// checkReport is what check found out. Its fields are the JSON output.
type checkReport struct {
	Path    string    `json:"path"`
	Class   string    `json:"architecture"`
	Engines []verdict `json:"engines"`
	Asked   []string  `json:"asked"` // engines that have to load it
}

// verdict is what becomes of a checkpoint in an engine, in words of the command line. Its
// fields are JSON output.
type verdict struct {
	Engine   engine.Engine `json:"engine"`
	Loads    bool          `json:"loads"` // as what it is
	Status   engine.Status `json:"status"`
	Findings []finding     `json:"findings,omitempty"` // the fatal ones first
	Backends []backend     `json:"backends,omitempty"`
}

// backend says whether a backend of an engine takes the sizes. Its fields are JSON output.
type backend struct {
	Name   string      `json:"name"`
	Device string      `json:"device"`
	Takes  bool        `json:"takes"`
	Padded *family.MLA `json:"padded,omitempty"` // the smallest sizes that it takes; left out if it takes none so large
	Source string      `json:"source"`           // where that was read
}

// finding is one thing that an engine makes of a checkpoint. Its fields are JSON output.
type finding struct {
	Rule   string `json:"rule"`
	Fatal  bool   `json:"fatal"`            // it does not load, or not as what it is
	Silent bool   `json:"silent,omitempty"` // it loads, and computes something else
	What   string `json:"what"`
	Do     string `json:"do,omitempty"` // what helps
}

// verdicts puts what engine says into words of the command line.
func verdicts(all []engine.Verdict) []verdict {
	said := make([]verdict, len(all))
	for i, v := range all {
		said[i] = verdict{Engine: v.Engine, Loads: v.Loads, Status: v.Status()}
		for _, f := range v.Findings {
			said[i].Findings = append(said[i].Findings, finding{f.Rule, f.Fatal, f.Silent, f.What, f.Do.In(flagWords)})
		}
		for _, b := range v.Backends {
			said[i].Backends = append(said[i].Backends, backend{b.Name, b.Device, b.Takes, b.Padded, b.Source})
		}
	}
	return said
}

func newCheck() *cobra.Command {
	var target engine.Engine // zero: all are looked at
	cmd := &cobra.Command{
		Use:   "check [flags] OUT",
		Short: "Tell which engines load a converted checkpoint",
		Long: `check looks at the configuration of the checkpoint OUT and at the names,
shapes and types of its tensors, and says of each engine whether it loads such
a DeepSeek-V3, and if not why and what to do. It reads no weights and runs no
engine: what it knows are the traps in their loaders. Below, it says which
backends of an engine take the sizes. The status is 0 if all engines that are
asked for load it: --target, or without it those of which convert said so, as
the manifest has it; where there is none, all of them. It is 8 if one of them
loads the checkpoint and computes wrongly, and else 5.`,
		Example: `  mha2mla check converted/
  mha2mla check --target vllm converted/
  mha2mla check --json converted/ | jq '.engines[] | select(.loads) | .engine'`,
	}
	takes(cmd, "OUT")
	choice(cmd.Flags(), &target, "target", "ENGINE", "", "engine to check for: "+list(engine.Choices())+" (default: those that convert wrote it for and said would load it)", engine.Choices()...)
	var config string
	configFlag(cmd, &config, "config")
	output := uiFlags(cmd)
	cmd.RunE = failing(func(cmd *cobra.Command, args []string) error {
		r, err := check(args[0], config, target)
		if err != nil {
			return err
		}
		if err := output().result(r, func(w io.Writer) error { return printCheck(w, r) }); err != nil {
			return err
		}
		return r.failed()
	})
	return cmd
}

// check judges the checkpoint at path.
func check(path, config string, target engine.Engine) (*checkReport, error) {
	src, err := checkpoint.Open(path)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	text, from, err := src.Config(config)
	if err != nil {
		return nil, err
	}
	a := &engine.Artifact{Lone: !src.IsDir() && src.GGUF() == nil, GGUF: src.GGUF() != nil}
	if a.Config, err = family.ParseConfig(text); err != nil {
		return nil, &checkpoint.FormatError{Path: from, What: err.Error()}
	}
	if class := a.Class(); class != family.DeepseekClass && class != family.DeepseekV2Class && !a.Config.Has(family.PerHeadKey) {
		return nil, &family.UnsupportedError{
			What: fmt.Sprintf("%q is a %q: only what is converted can be checked, a %s", path, class, family.DeepseekClass),
			Tip:  "name what convert wrote",
		}
	}
	for _, t := range src.Tensors() {
		a.Tensors = append(a.Tensors, checkpoint.Spec{Name: t.Name, DType: t.DType, Shape: t.Shape})
	}
	engines := target.Each()
	if a.GGUF { // what the others make of a GGUF file is not known here
		engines = slices.DeleteFunc(engines, func(e engine.Engine) bool { return !e.RunsGGUF() })
		if len(engines) == 0 {
			return nil, &family.UnsupportedError{What: fmt.Sprintf("%q is a GGUF file, which is for llama.cpp and Ollama", path), Tip: "name a directory that convert wrote"}
		}
	} else if bare := src.Without("format", "pt"); bare != "" {
		a.Unmarked = filepath.Base(bare)
	}
	if src.IsDir() {
		if err := besides(src.Dir, a); err != nil {
			return nil, err
		}
	}
	r := &checkReport{Path: path, Class: a.Class(), Engines: verdicts(engine.Judge(a, engines))}
	r.Asked, err = asked(path, target)
	return r, err
}

// besides lists in a the files of a folder, and what is wrong with those of the tokenizer.
func besides(dir string, a *engine.Artifact) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	a.Amiss = make(map[string]string)
	for _, e := range entries {
		name := e.Name()
		a.Files = append(a.Files, name)
		if !slices.Contains(engine.OfTokenizer(), name) {
			continue
		}
		text, err := checkpoint.ReadFile(filepath.Join(dir, name), plan.MaxCompanion)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			a.Amiss[name] = "a link to nothing"
		case err != nil:
			return err
		default:
			a.Amiss[name] = engine.Amiss(name, text)
			a.Code = append(a.Code, engine.CodeOf(text)...)
		}
	}
	return nil
}

// asked lists the engines that have to load the output at path: the target, or those
// that its manifest says load it.
func asked(path string, target engine.Engine) ([]string, error) {
	if target == "" {
		m, err := manifest.Read(path)
		if err != nil {
			return nil, err
		}
		if m != nil && len(m.Engines) > 0 {
			return m.Engines, nil
		}
	}
	var names []string
	for _, e := range target.Each() {
		names = append(names, string(e))
	}
	return names, nil
}

// notLoadedError says which of the engines that were asked for do not load a
// checkpoint, and which load it and compute something else.
type notLoadedError struct {
	path            string
	refuse, misread []string
	do              string
}

func (e *notLoadedError) Error() string {
	var parts []string
	if len(e.refuse) > 0 {
		parts = append(parts, "does not load in "+strings.Join(e.refuse, ", "))
	}
	if len(e.misread) > 0 {
		parts = append(parts, "loads, but computes wrongly, in "+strings.Join(e.misread, ", "))
	}
	return fmt.Sprintf("%q %s", e.path, strings.Join(parts, "; "))
}

// Kind says that an engine does not load the model, or that one misreads it, which is worse.
func (e *notLoadedError) Kind() fault.Kind {
	if len(e.misread) > 0 {
		return fault.Misread
	}
	return fault.Unsupported
}

// Hint says what to do about the error.
func (e *notLoadedError) Hint() string { return e.do }

// failed is an error unless all engines that are asked for load it.
func (r *checkReport) failed() error {
	e := &notLoadedError{path: r.Path}
	for _, v := range r.Engines {
		if v.Loads || !slices.Contains(r.Asked, string(v.Engine)) {
			continue
		}
		if v.Status == engine.Misreads {
			e.misread = append(e.misread, string(v.Engine))
		} else {
			e.refuse = append(e.refuse, string(v.Engine))
		}
		if e.do == "" {
			e.do = v.Findings[0].Do
		}
	}
	if len(e.refuse)+len(e.misread) == 0 {
		return nil
	}
	return e
}

// printCheck prints one line for each engine, and one for each backend.
func printCheck(w io.Writer, r *checkReport) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, v := range r.Engines {
		verdict := string(v.Status)
		switch {
		case !v.Loads:
			verdict += ": "
		case len(v.Findings) > 0:
			verdict += ", but "
		}
		var reasons []string
		for _, f := range v.Findings {
			if f.Fatal == v.Loads {
				continue // of what does not load, only why it does not
			}
			reason := f.What
			if f.Do != "" {
				reason += " (" + f.Do + ")"
			}
			reasons = append(reasons, reason)
		}
		fmt.Fprintf(t, "%s\t%s%s\n", v.Engine, verdict, strings.Join(reasons, "; "))
	}
	return errors.Join(t.Flush(), printBackends(w, r))
}

// printBackends prints one line for each backend of the engines that load the checkpoint.
func printBackends(w io.Writer, r *checkReport) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t)
	for _, v := range r.Engines {
		for _, b := range v.Backends {
			says := "takes the sizes"
			switch m := b.Padded; {
			case m == nil:
				says = "takes nothing so large, or not with so many heads"
			case !b.Takes:
				setting := flagWords(option.PadToKernel.Is(b.Name))
				says = fmt.Sprintf("takes them padded to %d + %d floats, heads of %d + %d and %d (%s)", m.KVLoraRank, m.RopeDim, m.NopeDim, m.RopeDim, m.ValueDim, setting)
			}
			fmt.Fprintf(t, "%s\t%s\t%s\n", b.Name, b.Device, says)
		}
	}
	return t.Flush()
}
