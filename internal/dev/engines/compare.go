package main

import (
	"fmt"
	"math"
)

// These are the bounds past which an engine is said to compute something else. The largest
// difference is that of the file in which llama.cpp tells log-probabilities, which has 16
// bits for 16 nats, and of sums in another order.
const (
	meanBound  = 0.0005 // nats, of the mean difference of the log-probability of a token
	worstBound = 0.005  // nats, of the largest
	leastAlike = 24     // tokens that are written as another engine writes them
	cacheBound = 0.01   // of the cache: vLLM divides memory into blocks
)

// request is what an engine is asked.
type request struct {
	Model   string  `json:"model"`   // folder of a checkpoint, or for llama.cpp a GGUF file
	Windows [][]int `json:"windows"` // tokens to read, in windows of the same length
	Text    string  `json:"text"`    // begins with what the windows are of
	Prompt  int     `json:"prompt"`  // tokens of the first window after which it writes
	Write   int     `json:"write"`   // how many tokens it writes, always the likeliest
}

// answer is what an engine says of a model.
type answer struct {
	Version  string       `json:"version"`
	LogProbs [][]*float64 `json:"logprobs"` // of each window, in nats, of every token but the first; null where the engine does not tell
	Written  []int        `json:"written"`
	Cache    float64      `json:"cache"` // bytes that a token takes in all layers
	Width    float64      `json:"width"` // bytes of each number in the cache
}

// gap is how far the log-probabilities of an engine are from those of verify.
type gap struct {
	tokens       int
	mean, worst  float64 // nats, without sign
	ours, theirs float64 // sums of log-probabilities
}

// distance compares what an engine says of the tokens of windows with what verify says.
func distance(ours [][]float64, theirs [][]*float64) (gap, error) {
	var g gap
	if len(ours) != len(theirs) {
		return g, fmt.Errorf("it answers for %d windows of %d", len(theirs), len(ours))
	}
	for w := range ours {
		if len(ours[w]) != len(theirs[w]) {
			return g, fmt.Errorf("it answers for %d tokens of %d in window %d", len(theirs[w]), len(ours[w]), w)
		}
		for t, p := range theirs[w] {
			if p == nil {
				continue
			}
			d := math.Abs(*p - ours[w][t])
			g.tokens++
			g.mean += d
			g.worst = max(g.worst, d)
			g.ours += ours[w][t]
			g.theirs += *p
		}
	}
	if g.tokens == 0 {
		return g, fmt.Errorf("it answers for no token")
	}
	g.mean /= float64(g.tokens)
	return g, nil
}

// perplexities returns those of the tokens that were compared, by verify and by the engine.
func (g gap) perplexities() (ours, theirs float64) {
	n := float64(g.tokens)
	return math.Exp(-g.ours / n), math.Exp(-g.theirs / n)
}

// within reports whether the engine computes what verify computes.
func (g gap) within() bool { return g.mean <= meanBound && g.worst <= worstBound }

// agreement returns how many tokens two texts have in common before they part.
func agreement(a, b []int) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// cachesAs reports whether an engine keeps as many numbers of a token as verify says.
func cachesAs(a answer, numbers float64) bool {
	return math.Abs(a.Cache/a.Width-numbers) <= cacheBound*numbers
}
