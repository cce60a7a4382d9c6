package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
)

// Format is the version of the form that manifests have.
const Format = 1

// maxBytes is the size in bytes of the largest manifest that is read.
const maxBytes = 100_000_000

// Manifest is the content of the file. It has no times and no folders, so that two runs of
// the same conversion write the same manifest.
type Manifest struct {
	Format     int                        `json:"mha2mla_manifest"`
	Program    string                     `json:"program"`              // version of the program
	Command    string                     `json:"command"`              // makes the same output again, with every choice spelled out
	Inputs     []checkpoint.WeightsDigest `json:"inputs"`               // the source's files
	Statistics []checkpoint.FileDigest    `json:"statistics,omitempty"` // files of statistics of the activations
	Conversion json.RawMessage            `json:"conversion"`           // the choices and the measurements
	Engines    []string                   `json:"engines,omitempty"`    // those engines that the output was written for and that load it
	Whole      bool                       `json:"whole"`                // the folder is the output, and nothing else belongs there
	Weights    []checkpoint.WeightsDigest `json:"weights"`
	Files      []checkpoint.FileDigest    `json:"files"`  // all other files but the manifest
	SHA        string                     `json:"sha256"` // digest of the manifest itself, computed with zeros in this place
}

// blank stands in the place of the digest while that is computed.
var blank = strings.Repeat("0", 64)

// Encode returns the text of the manifest, with its digest.
func (m Manifest) Encode() ([]byte, error) {
	m.Format, m.SHA = Format, blank
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, err
	}
	text = append(text, '\n')
	return substitute(text, blank, checkpoint.DigestBytes(text)), nil
}

// Digest returns the digest that the text of a manifest says of itself; empty if it is none.
func Digest(text []byte) string {
	var m Manifest
	if json.Unmarshal(text, &m) != nil {
		return ""
	}
	return m.SHA
}

// substitute replaces the last occurrence of old in text.
func substitute(text []byte, old, new string) []byte {
	at := bytes.LastIndex(text, []byte(old))
	if at < 0 {
		return text
	}
	return append(append(append([]byte(nil), text[:at]...), new...), text[at+len(old):]...)
}

// Read returns the manifest of the output at path, which is a directory or a file
// of weights. It returns nil if there is no manifest, or if the manifest was changed.
func Read(path string) (*Manifest, error) {
	_, file, err := locate(path)
	if err != nil {
		return nil, err
	}
	m, changed, err := read(file)
	if changed || errors.Is(err, fs.ErrNotExist) || errors.As(err, new(*checkpoint.FormatError)) {
		return nil, nil
	}
	return m, err
}

// locate returns the folder of the output at path, and the path of its manifest. A GGUF file that
// is split goes by its own name, too, which only its manifest has.
func locate(path string) (folder, file string, err error) {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		return path, filepath.Join(path, checkpoint.ManifestFile), nil
	}
	file = checkpoint.OwnManifest(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, unsaid := os.Stat(file); unsaid == nil {
			err = nil
		}
	}
	return filepath.Dir(path), file, err
}

// read reads a manifest. The result changed says that the manifest can be read and is not
// as it was written.
func read(path string) (m *Manifest, changed bool, err error) {
	text, err := checkpoint.ReadFile(path, maxBytes)
	if err != nil {
		return nil, false, err
	}
	malformed := func(what string) error { return &checkpoint.FormatError{Path: path, What: what} }
	m = &Manifest{}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, false, malformed("invalid JSON: " + err.Error())
	}
	changed = len(m.SHA) != len(blank) || checkpoint.DigestBytes(substitute(text, m.SHA, blank)) != m.SHA
	if !changed && m.Format != Format {
		return nil, false, malformed(fmt.Sprintf("a manifest of version %d, and this program knows %d", m.Format, Format))
	}
	for _, name := range m.names() {
		if !checkpoint.PlainName(name) {
			return nil, false, malformed(fmt.Sprintf("%q is not the name of a file", name))
		}
	}
	return m, changed, nil
}

// describes reports whether the manifest is that of the file of weights at path, or of parts which
// that was split into.
func (m *Manifest) describes(path string) bool {
	for _, w := range m.Weights {
		if w.File == filepath.Base(path) {
			return true
		}
	}
	_, err := os.Lstat(path)
	return len(m.Weights) > 1 && errors.Is(err, fs.ErrNotExist)
}

// names lists the files whose digests the manifest has.
func (m *Manifest) names() []string {
	var names []string
	for _, w := range m.Weights {
		names = append(names, w.File)
	}
	for _, f := range m.Files {
		names = append(names, f.File)
	}
	return names
}
