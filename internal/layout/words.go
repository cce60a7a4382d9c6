package layout

import (
	"strconv"

	"github.com/mha2mla/mha2mla/internal/heal"
	"github.com/mha2mla/mha2mla/internal/mla"
)

// mathsFlags are the words that ask for the choices of o, sizes first.
func mathsFlags(o mla.Options) []string {
	words := sizeFlags(o)
	if o.Heal != heal.None || !o.Method.Published() { // ours heals unless it is told not to
		words = append(words, "--heal", o.Heal.String())
	}
	return words
}

// sizeFlags are those without healing.
func sizeFlags(o mla.Options) []string {
	words := []string{"--kv-lora-rank", strconv.Itoa(o.Rank)}
	if o.Threshold > 0 {
		words = append(words, "--rope-threshold", number(o.Threshold, -1))
	} else {
		words = append(words, "--rope-dims", strconv.Itoa(o.RopeDims))
	}
	if o.Method == mla.MethodTransMLA {
		if words = append(words, "--method", string(o.Method)); o.FreqFold > 0 {
			words = append(words, "--freq-fold", strconv.Itoa(o.FreqFold))
		}
		return words
	}
	if !o.PerHead { // there every pair keeps its own frequency
		words = append(words, "--rope-theta", number(o.RopeTheta, -1))
		if o.RopeScaling != nil {
			words = append(words, "--rope-scaling", o.RopeScaling.Kind)
		}
	}
	return append(words, "--rope-select", string(o.Select), "--weights", string(o.Weights))
}

// number writes a number to so many digits; -1: to all of them.
func number(v float64, digits int) string { return strconv.FormatFloat(v, 'g', digits, 64) }
