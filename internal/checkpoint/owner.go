package checkpoint

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxManifest is the size in bytes of the largest manifest that is read.
const maxManifest = 100_000_000

// belongings holds those members of a manifest that say which files an output has. The
// package manifest knows all members.
type belongings struct {
	Whole   bool
	Weights []struct{ File string }
	Files   []FileDigest
}

// belongingsOf reads the manifest at path. It returns nothing if there is none that can be read
// as one.
func belongingsOf(path string) (belongings, error) {
	var b belongings
	text, err := ReadFile(path, maxManifest)
	if errors.Is(err, fs.ErrNotExist) || errors.As(err, new(*FormatError)) {
		return b, nil
	}
	if err != nil {
		return b, err
	}
	if json.Unmarshal(text, &b) != nil { // this program did not write it
		return belongings{}, nil
	}
	return b, nil
}

// belongsElsewhere returns an error if one of the files to be written to folder belongs to
// another output. That may be the directory itself, or another file of weights whose
// configuration config.json is.
func belongsElsewhere(folder string, names []string) error {
	b, err := belongingsOf(filepath.Join(folder, ManifestFile))
	if err != nil {
		return err
	}
	for _, name := range names {
		owns := slices.ContainsFunc(b.Weights, func(w struct{ File string }) bool { return w.File == name }) ||
			slices.ContainsFunc(b.Files, func(f FileDigest) bool { return f.File == name })
		if b.Whole && (owns || name == ManifestFile) {
			return &OwnedError{filepath.Join(folder, name), folder}
		}
	}
	if len(names) < 2 || !slices.Contains(names, ConfigFile) {
		return nil
	}
	main := filepath.Join(folder, names[0])
	ok, err := SharesConfig(main)
	if ok || err != nil {
		return err
	}
	return &OwnedError{filepath.Join(folder, ConfigFile), "another checkpoint beside " + names[0]}
}

// SharesConfig reports whether the config.json beside a file of weights is the configuration
// of that file, or may become it because there is none.
func SharesConfig(file string) (bool, error) {
	there, err := ReadFile(filepath.Join(filepath.Dir(file), ConfigFile), MaxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	old, err := Open(file)
	if err != nil { // this program did not write it
		return false, nil
	}
	return old.Embedded() == string(there), old.Close()
}

// Leftovers lists the files that an old output leaves in the directory at folder when a new
// one with the given files replaces it. These are the files of the old output that the new
// one does not have, unless somebody has edited them, and the configuration and manifest
// that came with a file of its weights.
func Leftovers(folder string, names []string) ([]string, error) {
	b, err := belongingsOf(filepath.Join(folder, ManifestFile))
	if err != nil || !b.Whole {
		b.Files = nil
	}
	var left []string
	for _, f := range b.Files {
		if !PlainName(f.File) || slices.Contains(names, f.File) {
			continue
		}
		text, readErr := ReadFile(filepath.Join(folder, f.File), f.Bytes)
		if readErr == nil && int64(len(text)) == f.Bytes && DigestBytes(text) == f.SHA { // an edited file is the user's, and stays
			left = append(left, f.File)
		}
	}
	single := filepath.Join(folder, SingleFile)
	for _, path := range []string{OwnConfig(single), OwnManifest(single)} {
		_, statErr := os.Lstat(path)
		if statErr == nil {
			left = append(left, filepath.Base(path))
		} else if !errors.Is(statErr, fs.ErrNotExist) {
			return nil, statErr
		}
	}
	return left, err
}

// oldParts lists the files that an old output leaves in a folder when a new one, which is a file
// and not a directory, replaces it with files of the given names: of a GGUF file that was split
// otherwise, the parts and the text for Ollama. The manifest that both have says which these are.
func oldParts(folder string, names []string) ([]string, error) {
	manifest := OwnManifest(filepath.Join(folder, names[0]))
	b, err := belongingsOf(manifest)
	var old []string
	for _, w := range b.Weights {
		if filepath.Ext(w.File) == ".gguf" && filepath.Base(OwnManifest(w.File)) == filepath.Base(manifest) {
			old = append(old, w.File, OwnModelfile(w.File))
		}
	}
	slices.Sort(old)
	return slices.DeleteFunc(slices.Compact(old), func(name string) bool {
		if !PlainName(name) || slices.Contains(names, name) {
			return true
		}
		_, statErr := os.Lstat(filepath.Join(folder, name))
		return errors.Is(statErr, fs.ErrNotExist)
	}), err
}

// Loadable reports whether a loader of a folder may read a file of such a name besides the
// weights that it should read: weights in another form, code, or an adapter.
func Loadable(name string) bool {
	return strings.HasPrefix(name, "adapter_") || filepath.Ext(name) == ".py" || isWeights(name)
}

// OwnWeights reports whether this program gives such a name to weights, or to their index,
// when it writes a directory.
func OwnWeights(name string) bool {
	shard := strings.HasPrefix(name, "model-") && len(name) == len("model-00001-of-00001.safetensors") && shardName.MatchString(name)
	return shard || name == SingleFile || name == IndexFile
}

// OtherWeights reports whether a file of such a name holds weights in a form that this
// program does not read.
func OtherWeights(name string) bool {
	return isWeights(name) && (filepath.Ext(name) != ".safetensors" || strings.HasPrefix(name, "consolidated"))
}
