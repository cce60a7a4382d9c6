package search

import "testing"

// TestTrialSteps: trials together take at most a tenth of the steps of healing, unless that is
// less than one step for each.
func TestTrialSteps(t *testing.T) {
	for _, c := range []struct{ steps, layers, trials, want int }{
		{300, 30, 18, 40},
		{100, 30, 18, 16},
		{300, 5, 18, 8},
		{3, 5, 18, 1},
		{300, 5, 0, 40},
	} {
		if got := trialSteps(c.steps, c.layers, c.trials); got != c.want {
			t.Errorf("%d steps of %d layers: %d trials take %d steps each, want %d", c.steps, c.layers, c.trials, got, c.want)
		}
	}
}
