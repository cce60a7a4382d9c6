package plan

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/engine"
)

// companions lists how the names of files begin that belong to a model whatever its weights
// are. Code is not among them.
var companions = []string{
	"tokenizer", "special_tokens_map", "added_tokens", "vocab", "merges", "spiece", "sentencepiece", "tekken",
	"generation_config", "chat_template", "preprocessor_config", "processor_config", "LICENSE", "LICENCE", "NOTICE", "USE_POLICY",
}

// companionEnds lists the extensions of such names. Weights, backups, and files that editors
// and downloads leave have other extensions.
var companionEnds = []string{"", ".json", ".model", ".txt", ".jinja", ".md", ".vocab", ".spm", ".bpe", ".tiktoken"}

// MaxCompanion is the size in bytes of the largest file that is copied with a model. A
// tokenizer of many languages has 33 MB.
const MaxCompanion = 512 << 20

// companion reports whether a file of such a name belongs to a model, whatever its weights
// are.
func companion(name string) bool {
	begins := func(start string) bool { return strings.HasPrefix(name, start) }
	return filepath.Ext(name) == ".tiktoken" || slices.Contains(companionEnds, filepath.Ext(name)) && slices.ContainsFunc(companions, begins)
}

// LeftOut names what a source directory holds beside the model and what the output does not
// get.
type LeftOut struct {
	Weights []string `json:"weights,omitempty"` // files of weights in other forms
	Code    []string `json:"code,omitempty"`    // files of Python code
	Folders []string `json:"folders,omitempty"` // folders, whatever they hold
}

// String names everything in one line; it is empty if nothing is left out.
func (l LeftOut) String() string {
	var parts []string
	for _, kind := range []struct {
		name  string
		names []string
	}{{"weights in other forms", l.Weights}, {"code", l.Code}, {"folders", l.Folders}} {
		if len(kind.names) > 0 {
			parts = append(parts, fmt.Sprintf("%s (%s)", kind.name, strings.Join(kind.names, ", ")))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "left alone: " + strings.Join(parts, ", ")
}

// add notes a file or a folder that is not copied.
func (l *LeftOut) add(name string, folder bool) {
	switch {
	case strings.HasPrefix(name, "."):
	case folder && name == "original": // Meta puts its form of the weights there
		l.Weights = append(l.Weights, name+"/")
	case folder:
		l.Folders = append(l.Folders, name+"/")
	case filepath.Ext(name) == ".py":
		l.Code = append(l.Code, name)
	case checkpoint.OtherWeights(name):
		l.Weights = append(l.Weights, name)
	}
}

// listCompanions lists the files of the source directory that are copied byte for byte, and
// notes the others as left out. It warns of a file that would be copied but whose content is
// not what its name says, and leaves it out.
func (p *Plan) listCompanions() error {
	src := p.Source.Source
	if !src.IsDir() {
		p.Companions = src.Carried()
		return nil
	}
	entries, err := os.ReadDir(src.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		if companion(name) {
			if err := p.listCompanion(name); err != nil {
				return err
			}
			continue
		}
		info, err := os.Stat(filepath.Join(src.Dir, name))
		switch {
		case err == nil:
			p.LeftOut.add(name, info.IsDir())
		case !errors.Is(err, fs.ErrNotExist): // nobody misses a link to nothing
			return err
		}
	}
	return nil
}

// listCompanion decides whether one file is copied.
func (p *Plan) listCompanion(name string) error {
	path := filepath.Join(p.Source.Source.Dir, name)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		p.warn("%q is a link to nothing, and is not copied", path)
		return nil
	}
	if err != nil {
		return err
	}
	if info.IsDir() {
		p.LeftOut.add(name, true)
		return nil
	}
	if !info.Mode().IsRegular() {
		p.warn("%q is no regular file, and is not copied", path)
		return nil
	}
	inside, err := p.Source.Source.Holds(name)
	if err != nil {
		return err
	}
	if !inside {
		p.warn("%q is a link out of the source, and is not copied", path)
		return nil
	}
	text, err := checkpoint.ReadFile(path, MaxCompanion)
	if err != nil {
		return err
	}
	wrong := engine.Amiss(name, text)
	if wrong != "" {
		p.warn("%q is %s, and is not copied", path, wrong)
		return nil
	}
	p.Companions = append(p.Companions, name)
	code := strings.Join(engine.CodeOf(text), ", ")
	if code != "" {
		p.warn("%q names code, which is not copied (%s): what it describes loads only with it", name, code)
	}
	return nil
}
