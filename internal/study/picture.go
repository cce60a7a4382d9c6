package study

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/report"
)

// Picture is a file to draw the sensitivities of all layers in.
type Picture struct {
	File  string // its name says the format; empty: none is drawn
	Force bool   // replace it if it exists
}

// Drawable reports whether the file's name says a format that can be drawn.
func (p Picture) Drawable() bool { return p.format() == "png" || p.format() == "svg" }

// format is the format that the name of the file asks for.
func (p Picture) format() string {
	return strings.TrimPrefix(strings.ToLower(filepath.Ext(p.File)), ".")
}

// reserve makes sure that the picture may be written.
func (p Picture) reserve(in *checkpoint.Source) error {
	if p.File == "" {
		return nil
	}
	return checkpoint.CheckOutput(in, filepath.Dir(p.File), []string{filepath.Base(p.File)}, false, p.Force)
}

// draw draws the sensitivities of all layers of in, if a file is named.
func (p Picture) draw(r *Inspection, in *checkpoint.Source) (err error) {
	if p.File == "" {
		return nil
	}
	h := &report.HeatMap{
		Title: "RoPE sensitivity of " + filepath.Base(filepath.Clean(in.Path)),
		Rows:  "layer", Columns: "rotary pair, fast to slow",
		Scale: "share of the layer's sensitivity", Mark: "keeps its rotation",
	}
	for _, l := range r.Layers {
		h.Share = append(h.Share, l.Share)
		h.Marked = append(h.Marked, l.Kept)
	}
	name := filepath.Base(p.File)
	out, err := checkpoint.NewOutput(in, filepath.Dir(p.File), []string{name}, false, p.Force)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Discard()) }()
	var picture bytes.Buffer
	if err := h.Write(&picture, p.format()); err != nil {
		return err
	}
	if err := out.WriteFile(name, picture.Bytes()); err != nil {
		return err
	}
	return out.Commit()
}
