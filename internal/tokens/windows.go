package tokens

// Windows are sequences of token ids that a model is run on, each from position 0 on. A
// window has two tokens or more: of one, nothing predicts anything.
type Windows [][]int

// Tokens is how many tokens there are in all windows.
func (w Windows) Tokens() int {
	n := 0
	for _, window := range w {
		n += len(window)
	}
	return n
}

// Longest is the number of tokens of the longest window; 0 if there is none.
func (w Windows) Longest() int {
	n := 0
	for _, window := range w {
		n = max(n, len(window))
	}
	return n
}

// Cut cuts sequences into windows of at most length tokens, none across the
// border of two sequences, and stops after most tokens (0: never). What is left
// at the end of a sequence becomes a shorter window, unless it is one token,
// which predicts nothing.
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
