package calib

import (
	"slices"

	"github.com/mha2mla/mha2mla/internal/tokens"
)

// Text is the text that statistics are gathered from, as windows of token ids.
type Text struct {
	Kept tokens.Windows // the statistics are sums over these
	Held tokens.Windows // these are held out, to try and to judge choices that statistics have led to
}

// Hold divides windows of tokens into those for statistics and those that are held out
// (design §2). It holds out every tenth window. Of fewer than ten it holds out the end of
// the last one of full length: a tenth of all tokens, but no more than half of that
// window, and nothing if that is less than two tokens.
func Hold(windows tokens.Windows) Text {
	var t Text
	if len(windows) >= tokens.HeldEvery {
		for i, w := range windows {
			if windows.Held(i) {
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
	out := min(windows.Tokens()/tokens.HeldEvery, windows.Longest()/2)
	if out < 2 {
		return Text{Kept: windows}
	}
	t.Kept = slices.Clone(windows)
	border := len(windows[full]) - out
	t.Kept[full] = windows[full][:border]
	t.Held = tokens.Windows{windows[full][border:]}
	return t
}

// run returns the windows that a model runs on, which begin with those that are added up,
// and the indices of those whose inputs are kept as they are, to try conversions on. These
// are some of the windows that are held out, or of all windows if none is.
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

// A sample has windows of one length, and few tokens, because each candidate of a search
// is tried on all of it.
const (
	sampleTokens = 1024 // about
	sampleWindow = 2048 // tokens of a window at most, unless all windows are longer
)

// sampled returns the indices of the windows whose inputs are kept: evenly spread ones
// among the longest of at most sampleWindow tokens.
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
