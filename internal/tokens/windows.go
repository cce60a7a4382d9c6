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
	return cutBy(sequences, most, func(int) int { return length })
}

// longPart is one in how many tokens Mixed puts into long windows.
const longPart = 4

// Mixed is Cut, but for a quarter of the tokens the windows are long: of up to long
// tokens, as far as there are four times as many.
func Mixed(sequences [][]int, length, long, most int) Windows {
	total := 0
	for _, s := range sequences {
		total += len(s)
	}
	if most > 0 {
		total = min(total, most)
	}
	long = min(long, total/longPart)
	if long <= length {
		return Cut(sequences, length, most)
	}
	round := 1 + (longPart-1)*long/length // a long window, and as many others as hold the rest
	return cutBy(sequences, most, func(i int) int {
		if i%round == 0 {
			return long
		}
		return length
	})
}

// cutBy is Cut, where length says how long each window is at most.
func cutBy(sequences [][]int, most int, length func(window int) int) Windows {
	var windows Windows
	total := 0
	for _, s := range sequences {
		for len(s) > 1 {
			n := min(length(len(windows)), len(s))
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
