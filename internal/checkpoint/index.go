package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/mha2mla/mha2mla/internal/strictjson"
)

// maxIndex is the size in bytes of the largest index that is read, which is that of the
// largest header.
const maxIndex = maxHeader

// index is the content of model.safetensors.index.json, which says which shard holds which
// tensor. It is nil for a checkpoint without an index.
type index struct {
	path  string
	shard map[string]string // the name of the shard, by the name of the tensor
}

// readIndex reads and checks the index file at path.
func readIndex(path string) (*index, error) {
	f, info, err := OpenRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info.Size() > maxIndex {
		return nil, tooLarge(path, info.Size(), maxIndex)
	}
	defer sparingly(info.Size())()
	shard, err := parseIndex(io.LimitReader(f, maxIndex))
	if err != nil {
		return nil, malformed(path, err)
	}
	return &index{path, shard}, nil
}

// parseIndex parses an index and makes sure that every shard is a plain file
// name.
func parseIndex(r io.Reader) (map[string]string, error) {
	var shard map[string]string
	last := "" // neighbours share a shard mostly, and then share one copy of its name
	in := strictjson.NewReader(r)
	err := in.Object(func(key string) error {
		if key != "weight_map" {
			return in.Skip()
		}
		shard = make(map[string]string)
		return in.Object(func(tensor string) error {
			if err := checkName(tensor); err != nil {
				return err
			}
			name, err := in.String()
			if err != nil {
				return fmt.Errorf("weight_map of %q: %w", tensor, err)
			}
			if name != last || name == "" {
				last = name
				err = checkShard(name)
			}
			shard[tensor] = last
			return err
		})
	})
	if err == nil {
		err = in.End()
	}
	if err == nil && len(shard) == 0 {
		err = errors.New("no weight_map, or an empty one")
	}
	return shard, err
}

// checkShard returns an error for anything but the plain name of a safetensors file. No
// name that it accepts leads out of the folder, on any system.
func checkShard(name string) error {
	switch {
	case name == "", strings.ContainsAny(name, `/\:`), strings.HasPrefix(name, "."), strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("unsafe shard name %q: it must be a plain file name", name)
	case len(name) > 255:
		return fmt.Errorf("a shard name of %d bytes: no file system has such a file", len(name))
	case filepath.Ext(name) != ".safetensors":
		return fmt.Errorf("shard %q is not a safetensors file", name)
	}
	return nil
}

// shards returns the shard names, each once, sorted.
func (x *index) shards() []string {
	return slices.Compact(slices.Sorted(maps.Values(x.shard)))
}

// explain replaces the error of opening a missing shard by one that says that the index
// names the shard. It returns other errors as they are.
func (x *index) explain(name string, err error) error {
	if x == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return &FormatError{x.path, fmt.Sprintf("shard %q is missing", name), "download it again"}
}

// check returns an error unless the tensors of s are those of the index and each lies in
// the shard that the index names.
func (x *index) check(s *Source) error {
	if x == nil {
		return nil
	}
	for _, t := range s.tensors {
		stored := filepath.Base(t.file.path)
		indexed, ok := x.shard[t.Name]
		switch {
		case !ok:
			return &FormatError{Path: x.path, What: fmt.Sprintf("tensor %q is stored in %q and not indexed", t.Name, stored)}
		case indexed != stored:
			return &FormatError{Path: x.path, What: fmt.Sprintf("tensor %q is indexed in %q and stored in %q", t.Name, indexed, stored)}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(x.shard)) {
		if s.Lookup(name) == nil {
			return &FormatError{Path: x.path, What: fmt.Sprintf("tensor %q is indexed in %q and not stored there", name, x.shard[name])}
		}
	}
	return nil
}
