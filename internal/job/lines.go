package job

import (
	"bufio"
	"encoding/json"
	"errors"
	"path/filepath"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
)

// Lines is a file of JSON lines to write.
type Lines struct {
	File  string // empty: none is written
	Force bool   // replace it if it exists
}

// reserve makes sure that the file may be written.
func (l Lines) reserve(in *checkpoint.Source) error {
	if l.File == "" {
		return nil
	}
	return checkpoint.CheckOutput(in, filepath.Dir(l.File), []string{filepath.Base(l.File)}, false, l.Force)
}

// write has fill write values, one a line, and publishes the file if fill succeeds. If no
// file is named, fill gets nil for the function that writes.
func (l Lines) write(in *checkpoint.Source, fill func(write func(any) error) error) (err error) {
	if l.File == "" {
		return fill(nil)
	}
	name := filepath.Base(l.File)
	out, err := checkpoint.NewOutput(in, filepath.Dir(l.File), []string{name}, false, l.Force)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Discard()) }()
	f, err := out.Create(name)
	if err != nil {
		return err
	}
	buffer := bufio.NewWriter(f)
	err = fill(json.NewEncoder(buffer).Encode)
	if err == nil {
		err = buffer.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err != nil {
		return err
	}
	return out.Commit()
}
