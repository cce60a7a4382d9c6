package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image"
	"image/png"
	"io"
	"strings"
	"testing"
)

func picture(rows, cols int) *HeatMap {
	h := &HeatMap{Title: "a title & <more>", Rows: "layer", Columns: "pair", Scale: "share", Mark: "kept"}
	for r := range rows {
		share, marked := make([]float64, cols), make([]bool, cols)
		for c := range share {
			share[c], marked[c] = 1/float64(1+(r+c)*(r+c)), c == 0
		}
		h.Share, h.Marked = append(h.Share, share), append(h.Marked, marked)
	}
	return h
}

// TestPNG: the picture decodes, grows with the map, and its brightest colour is
// where the largest share is: top left, the first row on top.
func TestPNG(t *testing.T) {
	decode := func(h *HeatMap) image.Image {
		var b bytes.Buffer
		if err := h.Write(&b, "png"); err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(&b)
		if err != nil {
			t.Fatal(err)
		}
		return img
	}
	small, large := decode(picture(5, 4)), decode(picture(32, 64))
	if s, l := small.Bounds(), large.Bounds(); l.Dx() <= s.Dx() || l.Dy() <= s.Dy() {
		t.Errorf("sizes %v and %v", s, l)
	}
	brightness := func(x, y int) uint32 {
		r, g, b, _ := large.At(x, y).RGBA()
		return r + g + b
	}
	w, h := large.Bounds().Dx(), large.Bounds().Dy()
	// inside the first and the last cell, past the marks and the axes
	if first, last := brightness(w*6/100, h*9/100), brightness(w*88/100, h*88/100); first <= last {
		t.Errorf("top left has brightness %d, bottom right %d", first, last)
	}
}

func TestSVG(t *testing.T) {
	var b bytes.Buffer
	if err := picture(5, 4).Write(&b, "svg"); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for dec := xml.NewDecoder(strings.NewReader(text)); ; {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"a title &amp; &lt;more&gt;", "layer", "share", "100 %", "0.01 %"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
}

func TestUnknownFormat(t *testing.T) {
	if err := picture(1, 1).Write(io.Discard, "bmp"); err == nil {
		t.Error("drew a bmp")
	}
}

func TestText(t *testing.T) {
	if got := Blocks([]float64{1, 0.1, 0.03, 0.01, 0.001, 0.0009, 0}); got != "██▆▄▁··" {
		t.Errorf("got %s, want ██▆▄▁··", got)
	}
	for saving, want := range map[float64]string{0.5: "−50.00 %", 0: "−0.00 %", -0.25: "+25.00 %"} {
		if got := Change(saving); got != want {
			t.Errorf("%v is written %s, want %s", saving, got, want)
		}
	}
	if got := Marks([]bool{true, false}); got != "●·" {
		t.Errorf("got %s, want ●·", got)
	}
}
