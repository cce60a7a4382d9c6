package checkpoint

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/mha2mla/mha2mla/internal/option"
)

// These are the names of files in a directory that the program reads or writes.
const (
	SingleFile = "model.safetensors"
	IndexFile  = "model.safetensors.index.json"
	ConfigFile = "config.json"

	// ManifestFile says from which model a checkpoint was converted, and what is in it.
	ManifestFile = "mha2mla.json"
)

// shardName matches the names of the parts of a sharded checkpoint.
var shardName = regexp.MustCompile(`-\d{5}-of-\d{5}\.safetensors$`)

// listing names the files of a directory that may be weights.
type listing struct {
	dir     string
	single  bool     // model.safetensors is there
	indexed bool     // the index is there
	shards  []string // files with names of shards
	files   []string // other safetensors files
	foreign []string // weights of other formats
}

// weightFormats lists the extensions that files of weights have.
var weightFormats = []string{".safetensors", ".bin", ".gguf", ".ggml", ".pth", ".pt", ".ckpt", ".h5", ".msgpack", ".onnx", ".npz", ".nemo", ".pdparams"}

// isWeights reports whether a file of such a name holds weights of some form.
func isWeights(name string) bool {
	return strings.HasPrefix(name, "consolidated") || slices.Contains(weightFormats, strings.ToLower(filepath.Ext(name)))
}

// list reads the directory and sorts its files into a listing.
func list(dir string) (*listing, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	l := &listing{dir: dir}
	for _, e := range entries {
		name := e.Name()
		switch {
		case strings.HasPrefix(name, "."): // such as ._model.safetensors, which other systems leave
		case name == IndexFile:
			l.indexed = true
		case name == SingleFile:
			l.single = true
		case strings.HasPrefix(name, "consolidated"): // the same weights in another layout
		case shardName.MatchString(name):
			l.shards = append(l.shards, name)
		case filepath.Ext(name) == ".safetensors":
			l.files = append(l.files, name)
		case isWeights(name):
			l.foreign = append(l.foreign, name)
		}
	}
	return l, nil
}

// weights returns the names of the files that hold the weights, and the index if there is
// one. It returns an error if the listing does not say clearly which files these are.
func (l *listing) weights() ([]string, *index, error) {
	loose := len(l.shards) + len(l.files)
	switch {
	case l.indexed:
		return l.indexedWeights()
	case l.single && len(l.shards) > 0:
		return nil, nil, &FormatError{l.dir, fmt.Sprintf("ambiguous: %q stands beside %q and there is no index", SingleFile, l.shards[0]), "name the file to convert, or add " + IndexFile}
	case l.single:
		return []string{SingleFile}, nil, nil
	case loose == 1 && len(l.files) == 1:
		return l.files, nil, nil
	case loose > 0:
		return nil, nil, &FormatError{l.dir, fmt.Sprintf("%d safetensors files and no %q to say how they belong together", loose, IndexFile), "add the index, or name one file"}
	case slices.ContainsFunc(l.foreign, func(name string) bool { return filepath.Ext(name) == ".gguf" }):
		return nil, nil, &NoModelError{l.dir, "no safetensors file, but GGUF", option.Plain("name the GGUF file itself")}
	case len(l.foreign) > 0:
		return nil, nil, &NoModelError{l.dir, fmt.Sprintf("no safetensors file; %q is of a format this program does not read", l.foreign[0]), option.Plain("save the checkpoint as safetensors first")}
	default:
		return nil, nil, &NoModelError{l.dir, "no safetensors file", option.Plain(l.elsewhere())}
	}
}

// elsewhere is the advice for a directory without weights. If a folder below has some, as in
// a folder of checkpoints or in the cache of a hub, it names that folder.
func (l *listing) elsewhere() string {
	for _, pattern := range []string{"*/*.safetensors", "*/*/*.safetensors"} {
		found, _ := fs.Glob(os.DirFS(l.dir), pattern)
		if len(found) > 0 {
			return fmt.Sprintf("there are weights below it: name %q", filepath.Join(l.dir, filepath.Dir(found[len(found)-1])))
		}
	}
	return "name a folder with config.json and model.safetensors"
}

func (l *listing) indexedWeights() ([]string, *index, error) {
	index, err := readIndex(filepath.Join(l.dir, IndexFile))
	if err != nil {
		return nil, nil, err
	}
	shards := index.shards()
	if l.single && !slices.Contains(shards, SingleFile) {
		return nil, nil, &FormatError{l.dir, fmt.Sprintf("ambiguous: %q stands beside %q, which does not name it", SingleFile, IndexFile), "name the file to convert, or remove what is stale"}
	}
	return shards, index, nil
}
