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

// maxManifest is the size of the largest manifest that is looked at.
const maxManifest = 100_000_000

// belongings is what of a manifest says which files an output has. The package manifest
// knows the whole.
type belongings struct {
	Whole   bool
	Weights []struct{ File string }
	Files   []FileDigest
}

// belongingsOf reads the manifest of the directory at folder; empty if it has none.
func belongingsOf(folder string) (belongings, error) {
	var b belongings
	text, err := ReadFile(filepath.Join(folder, ManifestFile), maxManifest)
	if errors.Is(err, fs.ErrNotExist) || errors.As(err, new(*FormatError)) {
		return b, nil
	}
	if err != nil {
		return b, err
	}
	if json.Unmarshal(text, &b) != nil { // not of this program's making, whatever it is
		return belongings{}, nil
	}
	return b, nil
}

// belongsElsewhere is an error if one of the files to be written to folder belongs to another
// output: to the directory itself, or as the configuration to a file beside it.
func belongsElsewhere(folder string, names []string) error {
	b, err := belongingsOf(folder)
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
	if ok, err := SharesConfig(main); ok || err != nil {
		return err
	}
	return &OwnedError{filepath.Join(folder, ConfigFile), "another checkpoint beside " + names[0]}
}

// SharesConfig reports whether config.json beside a file of weights is that file's, or
// free to become it.
func SharesConfig(file string) (bool, error) {
	there, err := ReadFile(filepath.Join(filepath.Dir(file), ConfigFile), MaxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	old, err := Open(file)
	if err != nil { // nothing that this program wrote
		return false, nil
	}
	return old.Embedded() == string(there), old.Close()
}

// Leftovers lists what is in the directory at folder of the output that one of the
// files named replaces: files of it that the new one has not, as they were written,
// and those that came with a file of its weights.
func Leftovers(folder string, names []string) ([]string, error) {
	b, err := belongingsOf(folder)
	if err != nil || !b.Whole {
		b.Files = nil
	}
	var left []string
	for _, f := range b.Files {
		if !PlainName(f.File) || slices.Contains(names, f.File) {
			continue
		}
		text, readErr := ReadFile(filepath.Join(folder, f.File), f.Bytes)
		if readErr == nil && int64(len(text)) == f.Bytes && DigestBytes(text) == f.SHA { // what was edited is the user's
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

// Loadable reports whether a loader of a folder may read a file of such a name beside
// the weights that it is after: weights of another form, code, adapters.
func Loadable(name string) bool {
	return strings.HasPrefix(name, "adapter_") || filepath.Ext(name) == ".py" || isWeights(name)
}

// OwnWeights reports whether this program gives a file in a directory such a name, as
// its weights or their index.
func OwnWeights(name string) bool {
	shard := strings.HasPrefix(name, "model-") && len(name) == len("model-00001-of-00001.safetensors") && shardName.MatchString(name)
	return shard || name == SingleFile || name == IndexFile
}

// OtherWeights reports whether a file of such a name holds weights in a form that this
// program does not read.
func OtherWeights(name string) bool {
	return isWeights(name) && (filepath.Ext(name) != ".safetensors" || strings.HasPrefix(name, "consolidated"))
}
