package calib

// heldEvery is one in how many windows, and of few windows of tokens, is held out.
const heldEvery = 10

// Hold divides windows of tokens into those for statistics and those that are held out of
// them to judge by: every tenth, or of fewer than ten the last tokens of the last window, a
// tenth of all but no more than half of that window. Nothing is held out of so little
// that less than two tokens would be.
func Hold(windows [][]int) (kept, held [][]int) {
	if len(windows) >= heldEvery {
		for i, w := range windows {
			if i%heldEvery == heldEvery/2 {
				held = append(held, w)
			} else {
				kept = append(kept, w)
			}
		}
		return kept, held
	}
	tokens := 0
	for _, w := range windows {
		tokens += len(w)
	}
	last := windows[len(windows)-1]
	n := min(tokens/heldEvery, len(last)/2)
	if n < 2 {
		return windows, nil
	}
	kept = append(kept, windows[:len(windows)-1]...)
	return append(kept, last[:len(last)-n]), [][]int{last[len(last)-n:]}
}
