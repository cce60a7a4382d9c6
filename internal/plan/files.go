package plan

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/export"
	"github.com/mha2mla/mha2mla/internal/option"
)

// CardFile is the name of the model card.
const CardFile = export.CardFile

// Place returns the folder that the files of an output go to. If the output is a file, it
// returns its name as well; if it is a directory, file is empty.
func Place(out string) (folder, file string) {
	info, err := os.Stat(out)
	isFile := filepath.Ext(out) == ".safetensors" || isGGUF(out)
	if err == nil {
		isFile = !info.IsDir()
	}
	if isFile {
		return filepath.Dir(out), filepath.Base(out)
	}
	return out, ""
}

// mostName is how many bytes a file system takes as the name of a file.
const mostName = 255

// CheckName refuses an output file whose name leaves no room for the names of those beside
// it, which are longer.
func CheckName(out string) error {
	_, file := Place(out)
	for _, beside := range []string{checkpoint.OwnManifest(out), checkpoint.OwnConfig(out)} {
		if name := filepath.Base(beside); file != "" && len(file) <= mostName && len(name) > mostName {
			return Misuse("the name of OUT has %d bytes, and %d more are needed for the name of a file beside it", len(file), len(name)-mostName).Try("shorten it by as many")
		}
	}
	return nil
}

// These are the largest numbers of shards that can be counted: by the five digits in their names,
// and by the 16 bits that there are in GGUF files.
const (
	mostShards = 99999
	mostParts  = 65535
)

// countable returns an error if there are more shards than can be counted.
func (p *Plan) countable() error {
	most := mostShards
	if p.Keys != nil {
		most = mostParts
	}
	if len(p.Shards) > most {
		return Misuse("%v makes %d files, which are counted no further than %d", option.MaxShard, len(p.Shards), most).Try("raise it")
	}
	return nil
}

// shard spreads the tensors over files of at most the given number of bytes, in the order of
// their names. A tensor that is larger gets a file for itself. If the output is a safetensors
// file, all tensors go there; so they do to a GGUF file, unless somebody names a number.
func (p *Plan) shard(most int64) {
	p.Shards = []Shard{{}}
	if !p.Whole && (p.Keys == nil || p.choices.asked.MaxShard == 0) {
		most = math.MaxInt64
	}
	for i := range p.Tensors {
		t := &p.Tensors[i]
		last := &p.Shards[len(p.Shards)-1]
		if last.Tensors > 0 && last.Bytes+t.Bytes() > most {
			p.Shards = append(p.Shards, Shard{})
			last = &p.Shards[len(p.Shards)-1]
		}
		t.Shard = len(p.Shards) - 1
		last.Tensors++
		last.Bytes += t.Bytes()
	}
	for i := range p.Shards {
		switch {
		case !p.Whole && len(p.Shards) > 1:
			p.Shards[i].File = checkpoint.PartGGUF(stem(p.Output), i+1, len(p.Shards))
		case !p.Whole:
			p.Shards[i].File = filepath.Base(p.Output)
		case len(p.Shards) == 1:
			p.Shards[i].File = checkpoint.SingleFile
		default:
			p.Shards[i].File = fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(p.Shards))
		}
	}
}

// stem returns the name of a file without its extension.
func stem(path string) string {
	return strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
}

// Files names every file that the conversion will write, the weights first.
func (p *Plan) Files() []string {
	var names []string
	for _, s := range p.Shards {
		names = append(names, s.File)
	}
	return append(names, p.Others...)
}

// listOthers lists the files beside the weights. A directory gets the index, the files that
// are copied from the source, and a model card. Every output gets the rankings if there are
// any, the manifest and the configuration. The files appear in this order, so that the
// configuration, which loaders read first, comes last.
func (p *Plan) listOthers() (err error) {
	config := checkpoint.ConfigFile
	p.Manifest = checkpoint.ManifestFile
	if p.Whole {
		if len(p.Shards) > 1 {
			p.Others = append(p.Others, checkpoint.IndexFile)
		}
		if err := p.listCompanions(); err != nil {
			return err
		}
		p.Others = append(p.Others, p.Companions...)
		p.Others = append(p.Others, CardFile)
	} else {
		p.Manifest = filepath.Base(checkpoint.OwnManifest(p.Shards[0].File))
		if p.Keys != nil {
			p.Modelfile = p.modelfile()
			p.Others = slices.DeleteFunc([]string{p.Modelfile, p.Manifest}, func(name string) bool { return name == "" })
			return nil
		}
		if config, err = p.configName(); err != nil {
			return err
		}
	}
	if p.RankFile != "" {
		p.Others = append(p.Others, p.RankFile)
	}
	p.Others = append(p.Others, p.Manifest, config)
	if p.Whole {
		return p.warnOfOthers()
	}
	return nil
}

// configName returns the name of the configuration beside an output file. It is config.json,
// unless a config.json of another checkpoint is there.
func (p *Plan) configName() (string, error) {
	own := filepath.Base(checkpoint.OwnConfig(p.Output))
	if p.Source.Source.In(p.Folder) { // the config.json there belongs to the source
		return own, nil
	}
	shared, err := checkpoint.SharesConfig(p.Output)
	if err != nil || !shared {
		return own, err
	}
	return checkpoint.ConfigFile, nil
}

// warnOfOthers warns of files in an existing output directory that stay when the output is
// replaced, and that loaders may take for parts of the new one.
func (p *Plan) warnOfOthers() error {
	there, err := os.ReadDir(p.Folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	written := p.Files()
	stale, err := checkpoint.Leftovers(p.Folder, written)
	if err != nil {
		return err
	}
	var foreign []string
	for _, e := range there {
		name := e.Name()
		if slices.Contains(written, name) || slices.Contains(stale, name) || checkpoint.OwnWeights(name) {
			continue
		}
		if companion(name) || checkpoint.Loadable(name) {
			foreign = append(foreign, name)
		}
	}
	if len(foreign) > 0 {
		p.warn("%q holds what is not of this conversion, and loaders may read it (%s)", p.Folder, strings.Join(foreign, ", "))
	}
	return nil
}

// warn adds a warning, unless the plan has the same already.
func (p *Plan) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(p.Warnings, text) {
		p.Warnings = append(p.Warnings, text)
	}
}
