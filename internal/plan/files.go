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
)

// CardFile is the name of the model card.
const CardFile = "README.md"

// Place says where the files of an output go. A .safetensors file goes to its
// folder; if file is empty, the output is a directory of its own.
func Place(out string) (folder, file string) {
	info, err := os.Stat(out)
	isFile := filepath.Ext(out) == ".safetensors"
	if err == nil {
		isFile = !info.IsDir()
	}
	if isFile {
		return filepath.Dir(out), filepath.Base(out)
	}
	return out, ""
}

// shard spreads the tensors over files of at most most bytes, in the order of
// their names. One file is always one shard.
func (p *Plan) shard(most int64) {
	p.Shards = []Shard{{}}
	for i := range p.Tensors {
		t := &p.Tensors[i]
		last := &p.Shards[len(p.Shards)-1]
		if p.Whole && last.Tensors > 0 && last.Bytes+t.Bytes() > most {
			p.Shards = append(p.Shards, Shard{})
			last = &p.Shards[len(p.Shards)-1]
		}
		t.Shard = len(p.Shards) - 1
		last.Tensors++
		last.Bytes += t.Bytes()
	}
	for i := range p.Shards {
		switch {
		case !p.Whole:
			p.Shards[i].File = filepath.Base(p.Output)
		case len(p.Shards) == 1:
			p.Shards[i].File = checkpoint.SingleFile
		default:
			p.Shards[i].File = fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(p.Shards))
		}
	}
}

// Files names every file that will be written, the weights first.
func (p *Plan) Files() []string {
	var names []string
	for _, s := range p.Shards {
		names = append(names, s.File)
	}
	return append(names, p.Others...)
}

// listOthers lists the files beside the weights: for a directory the index, what
// comes along with the source, and a model card; then for a file, too, the
// rankings if there are any, the manifest and the configuration. They appear in
// this order: loaders begin with the configuration.
func (p *Plan) listOthers() (err error) {
	config := checkpoint.ConfigFile
	p.Manifest = checkpoint.ManifestFile
	if p.Whole {
		if len(p.Shards) > 1 {
			p.Others = append(p.Others, checkpoint.IndexFile)
		}
		if p.Companions, p.LeftOut, err = listCompanions(p.Source.Source); err != nil {
			return err
		}
		p.Others = append(p.Others, p.Companions...)
		p.Others = append(p.Others, CardFile)
	} else {
		p.Manifest = filepath.Base(checkpoint.OwnManifest(p.Output))
		if config, err = p.configName(); err != nil {
			return err
		}
	}
	if p.RankFile != "" {
		p.Others = append(p.Others, p.RankFile)
	}
	p.Others = append(p.Others, p.Manifest, config)
	return nil
}

// configName is the name under which the configuration goes beside an output
// file: config.json, unless there is one of something else.
func (p *Plan) configName() (string, error) {
	own := filepath.Base(checkpoint.OwnConfig(p.Output))
	if p.Source.Source.In(p.Folder) { // config.json there means the source
		return own, nil
	}
	shared := filepath.Join(p.Folder, checkpoint.ConfigFile)
	there, err := checkpoint.ReadFile(shared, checkpoint.MaxConfig)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return checkpoint.ConfigFile, nil
	case err != nil:
		return "", err
	}
	if old, err := checkpoint.Open(p.Output); err == nil {
		defer old.Close()
		if old.Embedded() == string(there) { // of the output that is being replaced
			return checkpoint.ConfigFile, nil
		}
	}
	return own, nil
}

// companions are the beginnings of the names of files that belong to a model
// whatever its weights are. Code is not among them.
var companions = []string{
	"tokenizer", "special_tokens_map", "added_tokens", "vocab", "merges", "spiece", "sentencepiece",
	"generation_config", "chat_template", "preprocessor_config", "LICENSE", "LICENCE", "NOTICE", "USE_POLICY",
}

// LeftOut names what a source directory holds beside the model that is read and
// no output gets.
type LeftOut struct {
	Weights []string `json:"weights,omitempty"` // in other forms
	Code    []string `json:"code,omitempty"`
}

// String says so in a line; empty if there is nothing.
func (l LeftOut) String() string {
	var parts []string
	if len(l.Weights) > 0 {
		parts = append(parts, fmt.Sprintf("weights in other forms (%s)", strings.Join(l.Weights, ", ")))
	}
	if len(l.Code) > 0 {
		parts = append(parts, fmt.Sprintf("code (%s)", strings.Join(l.Code, ", ")))
	}
	if len(parts) == 0 {
		return ""
	}
	return "left alone: " + strings.Join(parts, ", ")
}

// add takes a file or folder into account that is not copied.
func (l *LeftOut) add(name string, folder bool) {
	switch {
	case folder && name == "original": // where Meta puts its own
		l.Weights = append(l.Weights, name+"/")
	case folder:
	case filepath.Ext(name) == ".py":
		l.Code = append(l.Code, name)
	case strings.HasPrefix(name, "consolidated"), slices.Contains([]string{".bin", ".gguf", ".pth", ".pt"}, filepath.Ext(name)):
		l.Weights = append(l.Weights, name)
	}
}

// listCompanions lists the files of the source directory that are copied byte
// for byte, and what is left out.
func listCompanions(src *checkpoint.Source) (names []string, left LeftOut, err error) {
	if !src.IsDir() {
		return nil, left, nil
	}
	entries, err := os.ReadDir(src.Dir)
	if err != nil {
		return nil, left, err
	}
	for _, e := range entries {
		info, err := os.Stat(filepath.Join(src.Dir, e.Name()))
		if err != nil {
			continue // a link to nothing
		}
		belongs := slices.ContainsFunc(companions, func(start string) bool { return strings.HasPrefix(e.Name(), start) })
		if belongs && info.Mode().IsRegular() && filepath.Ext(e.Name()) != ".py" {
			names = append(names, e.Name())
		} else {
			left.add(e.Name(), info.IsDir())
		}
	}
	return names, left, nil
}
