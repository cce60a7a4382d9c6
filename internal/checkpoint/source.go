package checkpoint

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/mha2mla/mha2mla/internal/fsys"
	"github.com/mha2mla/mha2mla/internal/gguf"
	"github.com/mha2mla/mha2mla/internal/llamacpp"
	"github.com/mha2mla/mha2mla/internal/option"
)

// MetadataConfig is the __metadata__ key under which a file carries its own
// configuration.
const MetadataConfig = "config"

// MaxConfig is the size in bytes of the largest configuration that the program reads. The
// configurations of models have a few kilobytes.
const MaxConfig = 16 << 20

// Source is a checkpoint open for reading: one safetensors file, the shards of a directory, or
// a GGUF file, which is shown as the checkpoint that it was made of. Open has read and checked
// the headers. Data are read only on request.
type Source struct {
	Path    string      // the path that was given to Open
	Dir     string      // the folder of the weights, which is Path itself for a directory
	folder  os.FileInfo // identifies Dir, whatever links lead to it
	config  string      // path of the configuration that was read
	files   []*file
	tensors []*Tensor // in the order of their names

	model *llamacpp.Model // what a GGUF file holds; nil for safetensors
}

// file is one open safetensors or GGUF file.
type file struct {
	*header
	stored []*Tensor  // of a GGUF file, the tensors as they are stored; nil if the header shows them so
	gguf   *gguf.File // nil for safetensors
	path   string
	f      fsys.Input
	state  os.FileInfo // its size and time when it was opened
}

// Open opens the checkpoint at path: a safetensors file, a directory in the layout of Hugging
// Face, sharded or not, or a GGUF file, split or not. It follows symbolic links. It returns a MissingError if
// nothing is there, a NoModelError if a directory holds no weights that the program reads,
// and a FormatError for a file that is malformed.
func Open(path string) (*Source, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &MissingError{path, err}
	}
	if err != nil {
		return nil, err
	}
	s := &Source{Path: path, Dir: filepath.Dir(path)}
	names, index := []string{filepath.Base(path)}, (*index)(nil)
	if info.IsDir() {
		s.Dir = path
		found, err := list(path)
		if err != nil {
			return nil, err
		}
		if names, index, err = found.weights(); err != nil {
			return nil, err
		}
	}
	if s.folder, err = os.Stat(s.Dir); err != nil {
		return nil, err
	}
	for _, name := range names {
		f, err := openFile(filepath.Join(s.Dir, name))
		if err != nil {
			return nil, errors.Join(index.explain(name, err), s.Close())
		}
		s.files = append(s.files, f)
		if info.IsDir() && f.gguf != nil {
			return nil, errors.Join(&FormatError{f.path, "this is a GGUF file, not a safetensors file", "name the file itself"}, s.Close())
		}
	}
	if s.files[0].gguf != nil {
		if err := s.presentGGUF(); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	if err := s.collect(index); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// MissingError says that nothing is there under the path of a checkpoint.
type MissingError struct {
	Path string
	Err  error
}

func (e *MissingError) Error() string { return e.Err.Error() }

// Unwrap returns the error of the operating system.
func (e *MissingError) Unwrap() error { return e.Err }

// hubName matches the name or the address that a model has on a hub.
var hubName = regexp.MustCompile(`^(https?://.*|[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)$`)

// Hint says what to do about the error.
func (e *MissingError) Hint() string {
	if hubName.MatchString(e.Path) {
		return "nothing is downloaded: if this is the name of a model, fetch it first, and name the folder it is in"
	}
	return ""
}

// openFile opens a safetensors or GGUF file and checks its header.
func openFile(path string) (*file, error) {
	f, _, err := OpenRegular(path)
	if err != nil {
		return nil, err
	}
	opened, err := readFile(path, f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return opened, nil
}

// readFile checks the header of a safetensors or GGUF file that is open.
func readFile(path string, f fsys.Input) (*file, error) {
	if isGGUF(f) {
		return readGGUF(path, f)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	h, err := readHeader(f, info.Size())
	if err != nil {
		return nil, malformed(path, err)
	}
	return &file{header: h, path: path, f: f, state: info}, nil
}

// collect gathers the tensors of all files and compares them with the index.
func (s *Source) collect(index *index) error {
	for _, f := range s.files {
		for _, t := range f.tensors {
			t.file = f
			s.tensors = append(s.tensors, t)
		}
	}
	slices.SortFunc(s.tensors, func(a, b *Tensor) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.file.path, b.file.path))
	})
	for i := 1; i < len(s.tensors); i++ {
		a, b := s.tensors[i-1], s.tensors[i]
		if a.Name == b.Name {
			return &FormatError{s.Path, fmt.Sprintf("tensor %q is stored twice, in %q and %q", a.Name, filepath.Base(a.file.path), filepath.Base(b.file.path)), ""}
		}
	}
	return index.check(s)
}

// Unchanged returns an error if a file of weights has changed since it was opened, as far
// as its size and time tell. Then some of what was read may be old and some new.
func (s *Source) Unchanged() error {
	for _, f := range s.files {
		held, err := f.f.Stat()
		if err != nil {
			return err
		}
		named, err := os.Stat(f.path) // another file may have taken its name
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, now := range []os.FileInfo{held, named} {
			if now == nil || now.Size() != f.state.Size() || !now.ModTime().Equal(f.state.ModTime()) {
				return &FormatError{f.path, "it was changed while it was read", "try again when nothing writes to it"}
			}
		}
	}
	return nil
}

// Close closes the files.
func (s *Source) Close() error {
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.f.Close())
	}
	return errors.Join(errs...)
}

// Tensors returns all tensors in the order of their names.
func (s *Source) Tensors() []*Tensor { return s.tensors }

// Lookup finds a tensor by name; nil if there is none.
func (s *Source) Lookup(name string) *Tensor {
	i, ok := slices.BinarySearchFunc(s.tensors, name, func(t *Tensor, name string) int { return cmp.Compare(t.Name, name) })
	if !ok {
		return nil
	}
	return s.tensors[i]
}

// Files returns the paths of the files of weights.
func (s *Source) Files() []string {
	paths := make([]string, len(s.files))
	for i, f := range s.files {
		paths[i] = f.path
	}
	return paths
}

// In reports whether folder is the folder that the source lies in.
func (s *Source) In(folder string) bool {
	info, err := os.Stat(folder)
	return err == nil && os.SameFile(info, s.folder)
}

// Holds reports whether a file beside the weights belongs to the source. Once links are
// followed, it must lie in the source's folder. If that folder is a revision in a cache of
// the Hugging Face hub, it may lie among the blobs of the cache, too. A stranger's
// checkpoint may come with links that lead elsewhere, to private files of the user.
func (s *Source) Holds(name string) (bool, error) {
	dir, err := filepath.EvalSymlinks(s.Dir)
	if err != nil {
		return false, err
	}
	path, err := filepath.EvalSymlinks(filepath.Join(s.Dir, name))
	if err != nil {
		return false, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return false, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return false, err
	}
	homes := []string{dir}
	snapshots := filepath.Dir(dir)
	if filepath.Base(snapshots) == "snapshots" {
		homes = append(homes, filepath.Join(filepath.Dir(snapshots), "blobs"))
	}
	return slices.ContainsFunc(homes, func(home string) bool {
		return strings.HasPrefix(path, home+string(filepath.Separator))
	}), nil
}

// IsDir reports whether the source is a directory rather than one file.
func (s *Source) IsDir() bool { return s.Dir == s.Path }

// Config returns the text of the checkpoint's configuration and the path that it was read
// from. If override is not empty, it names the configuration. Otherwise Config takes the
// first of these that exists: NAME.config.json beside a file NAME.safetensors;
// config.json; and the one in the file's __metadata__. A GGUF file has its own. Config returns
// a NoModelError if none exists.
func (s *Source) Config(override string) (text []byte, from string, err error) {
	if s.model != nil && override == "" {
		return s.model.Config, s.Path, nil
	}
	paths := []string{filepath.Join(s.Dir, ConfigFile)}
	switch {
	case override != "":
		paths = []string{override}
	case !s.IsDir():
		paths = append([]string{OwnConfig(s.Path)}, paths...)
	}
	for _, path := range paths {
		text, err = ReadFile(path, MaxConfig)
		if override != "" || !errors.Is(err, fs.ErrNotExist) {
			s.config = path
			return text, path, err
		}
	}
	embedded := s.Embedded()
	if int64(len(embedded)) > MaxConfig {
		return nil, s.Path, tooLarge(s.Path+": __metadata__", int64(len(embedded)), MaxConfig)
	}
	if embedded != "" {
		return []byte(embedded), s.Path, nil
	}
	return nil, "", &NoModelError{s.Path, "no configuration: there is no config.json and the file carries none", option.Textf("name it with %v", option.Config)}
}

// Embedded returns the configuration that the checkpoint carries in its __metadata__; empty
// if it carries none.
func (s *Source) Embedded() string { return s.Metadata(MetadataConfig) }

// Metadata returns the value of a key in the __metadata__ of the first file; empty if the
// key is not there.
func (s *Source) Metadata(key string) string { return s.files[0].metadata[key] }

// Without returns the path of the first file whose __metadata__ does not have the value at
// key; empty if all files have it.
func (s *Source) Without(key, value string) string {
	for _, f := range s.files {
		if f.metadata[key] != value {
			return f.path
		}
	}
	return ""
}

// OwnConfig returns the path of the configuration that belongs to one safetensors file
// alone, which lies beside it.
func OwnConfig(path string) string { return own(path, ConfigFile) }

// OwnManifest returns the path of the manifest that belongs to one file of weights alone:
// NAME.mha2mla.json for a file NAME.safetensors. Files of other kinds may have the same NAME, so
// theirs is FILE.mha2mla.json. The parts of a split GGUF file have that of the file which they
// are parts of.
func OwnManifest(path string) string {
	if filepath.Ext(path) == ".safetensors" {
		return own(path, ManifestFile)
	}
	return wholeGGUF(path) + "." + ManifestFile
}

// OwnModelfile returns the path of the text by which Ollama makes a model of one GGUF file.
func OwnModelfile(path string) string { return own(wholeGGUF(path), "Modelfile") }

func own(path, name string) string {
	return strings.TrimSuffix(path, filepath.Ext(path)) + "." + name
}
