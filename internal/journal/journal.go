package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"sync"

	"github.com/mha2mla/mha2mla/internal/fsys"
)

// ErrDamaged says that a file is no journal, or that its content was changed.
var ErrDamaged = errors.New("the journal is damaged")

// maxBytes is the size in bytes of the largest journal that is read. It has room for some
// hundred thousand tensors.
const maxBytes = 256 << 20

// Journal is a journal that is written to.
type Journal struct {
	mu sync.Mutex
	f  fsys.File
}

// Create writes a journal that begins with the given records. It replaces a journal of the
// same name, which stays whole until the new one is on the disk.
func Create[T any](in fsys.Folder, name string, records []T) (*Journal, error) {
	text, err := Encode(records)
	if err != nil {
		return nil, err
	}
	draft := name + ".draft"
	if err := fsys.RemoveAll(in, draft); err != nil {
		return nil, err
	}
	if err := fsys.WriteFile(in, draft, text); err != nil {
		return nil, err
	}
	if err := in.Rename(draft, name); err != nil {
		return nil, err
	}
	if err := in.Sync(); err != nil {
		return nil, err
	}
	f, err := in.Append(name)
	if err != nil {
		return nil, err
	}
	return &Journal{f: f}, nil
}

// Encode returns the content of a journal of the given records.
func Encode[T any](records []T) (text []byte, err error) {
	for _, r := range records {
		line, err := encode(r)
		if err != nil {
			return nil, err
		}
		text = append(text, line...)
	}
	return text, nil
}

// Add appends a record. Only Sync puts it on the disk. Several goroutines may call Add at
// the same time.
func (j *Journal) Add(record any) error {
	line, err := encode(record)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	_, err = j.f.Write(line)
	return err
}

// Sync puts all records that were added on the disk.
func (j *Journal) Sync() error { return j.f.Sync() }

// Close closes the file.
func (j *Journal) Close() error { return j.f.Close() }

// encode returns the line of a record.
func encode(record any) ([]byte, error) {
	text, err := json.Marshal(record)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%08x %s\n", crc32.ChecksumIEEE(text), text), nil
}

// Read returns the records of a journal; none if there is no file. It ignores a last line
// that was cut short. If the content has changed anywhere else since it was written, it
// returns ErrDamaged.
func Read[T any](in fsys.Folder, name string) ([]T, error) {
	text, err := fsys.ReadFile(in, name, maxBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var records []T
	for {
		line, rest, whole := bytes.Cut(text, []byte("\n"))
		if !whole {
			return records, nil
		}
		var record T
		if err := decode(line, &record); err != nil {
			return nil, err
		}
		records, text = append(records, record), rest
	}
}

// decode parses a line into record. It returns ErrDamaged if the checksum does not fit.
func decode(line []byte, record any) error {
	sum, text, found := bytes.Cut(line, []byte(" "))
	if !found || string(sum) != fmt.Sprintf("%08x", crc32.ChecksumIEEE(text)) || json.Unmarshal(text, record) != nil {
		return ErrDamaged
	}
	return nil
}

// Publish writes a journal of one record to a folder whose Write gives a file its name when it is
// whole.
func Publish[T any](in interface {
	Write(name string, content []byte) error
}, name string, record T) error {
	text, err := Encode([]T{record})
	if err != nil {
		return err
	}
	return in.Write(name, text)
}

// ReadOne reads a journal of one record; nil if there is none, or if it is not what was written.
func ReadOne[T any](in fsys.Folder, name string) (*T, error) {
	records, err := Read[T](in, name)
	if errors.Is(err, ErrDamaged) || err == nil && len(records) != 1 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &records[0], nil
}
