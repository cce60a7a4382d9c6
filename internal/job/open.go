package job

import (
	"errors"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/family"
)

// Open opens a checkpoint and describes its model. Config is a file to take the
// configuration from; empty: the checkpoint's own.
func Open(path, config string) (*family.Model, error) {
	src, err := checkpoint.Open(path)
	if err != nil {
		return nil, err
	}
	m, err := family.Read(src, config)
	if err != nil {
		return nil, errors.Join(err, src.Close())
	}
	return m, nil
}

// OpenSource opens a checkpoint that is to be converted. It refuses those that cannot be.
func OpenSource(path, config string) (*family.Model, error) {
	m, err := Open(path, config)
	if err != nil {
		return nil, err
	}
	if err := m.Convertible(); err != nil {
		return nil, errors.Join(err, m.Source.Close())
	}
	return m, nil
}
