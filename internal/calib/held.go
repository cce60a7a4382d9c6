package calib

import (
	"slices"

	"github.com/mha2mla/mha2mla/internal/tokens"
)

// Text is what statistics are gathered of: windows of token ids.
type Text struct {
	Kept tokens.Windows // that are added up
	Held tokens.Windows // that are not: what is chosen by the statistics is tried and judged on them
}

// heldEvery is one in how many windows, and of few windows of tokens, is held out.
const heldEvery = 10

// Hold divides windows of tokens into those for statistics and those that are held out of
// them: every tenth, or of fewer than ten the end of the last one of full length, a tenth of
// all tokens but no more than half of that window. Nothing is held out of so little that
// less than two tokens would be.
func Hold(windows tokens.Windows) Text {
	var t Text
	if len(windows) >= heldEvery {
		for i, w := range windows {
			if i%heldEvery == heldEvery/2 {
				t.Held = append(t.Held, w)
			} else {
				t.Kept = append(t.Kept, w)
			}
		}
		return t
	}
	full := 0
	for i, w := range windows {
		if len(w) == windows.Longest() {
			full = i
		}
	}
	out := min(windows.Tokens()/heldEvery, windows.Longest()/2)
	if out < 2 {
		return Text{Kept: windows}
	}
	t.Kept = slices.Clone(windows)
	border := len(windows[full]) - out
	t.Kept[full] = windows[full][:border]
	t.Held = tokens.Windows{windows[full][border:]}
	return t
}

// run returns the windows that a model runs on, those that are added up first, and which
// of them stay as they are, to try conversions on: some that are held out, or if nothing
// is, some of all.
func (t Text) run() (windows tokens.Windows, sample []int) {
	if len(t.Held) == 0 {
		return t.Kept, sampled(t.Kept)
	}
	windows = append(windows, t.Kept...)
	for _, i := range sampled(t.Held) {
		sample = append(sample, len(windows))
		windows = append(windows, t.Held[i])
	}
	return windows, sample
}

// sampleShape is the shape of the inputs of a layer that stay, [windows, tokens, d].
func (t Text) sampleShape(hidden int) []int64 {
	windows, sample := t.run()
	shape := []int64{int64(len(sample)), 0, int64(hidden)}
	for _, i := range sample {
		shape[1] = int64(len(windows[i]))
	}
	return shape
}

// A sample is of windows of one length, and of few tokens: each candidate of a search is
// tried on all of it.
const (
	sampleTokens = 1024 // about
	sampleWindow = 2048 // tokens of a window at most, if there are shorter ones
)

// sampled chooses the windows to keep: evenly spread ones of full length.
func sampled(windows tokens.Windows) []int {
	var full, chosen []int
	length := 0
	for _, w := range windows {
		if n := len(w); n <= sampleWindow {
			length = max(length, n)
		}
	}
	if length == 0 {
		length = windows.Longest()
	}
	for i, w := range windows {
		if len(w) == length {
			full = append(full, i)
		}
	}
	n := min(len(full), max(1, sampleTokens/max(1, length)))
	for k := range n {
		chosen = append(chosen, full[k*len(full)/n])
	}
	return chosen
}
