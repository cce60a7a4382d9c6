package tokens

// Windows holds sequences of token ids. A model is run on each of them by itself, from
// position 0 on. A window has at least two tokens, since a single token predicts no other.
type Windows [][]int

// Tokens returns the number of tokens in all windows.
func (w Windows) Tokens() int {
	n := 0
	for _, window := range w {
		n += len(window)
	}
	return n
}

// Longest returns the number of tokens in the longest window; 0 if there is none.
func (w Windows) Longest() int {
	n := 0
	for _, window := range w {
		n = max(n, len(window))
	}
	return n
}

// HeldEvery says that one in that many windows is held out.
const HeldEvery = 10

// Held reports whether window i is one of those that weights are judged on and do not learn
// from: one in ten, and one if there are fewer.
func (w Windows) Held(i int) bool { return i%HeldEvery == min(HeldEvery, len(w))/2 }

// Cut cuts sequences into windows of at most length tokens. No window crosses the border of
// two sequences. Cut stops after most tokens; if most is 0, it cuts everything. The rest at
// the end of a sequence becomes a shorter window, unless it is one token, which predicts no
// other.
func Cut(sequences [][]int, length, most int) Windows {
	var windows Windows
	total := 0
	for _, s := range sequences {
		for len(s) > 1 {
			n := min(length, len(s))
			if most > 0 {
				n = min(n, most-total)
			}
			if n < 2 {
				return windows
			}
			windows = append(windows, s[:n])
			total += n
			s = s[n:]
		}
	}
	return windows
}
