package verify

// LogProb says how likely each model held a token, given the tokens before it in its window.
// Its fields are a line of JSON.
type LogProb struct {
	Window    int     `json:"window"`   // number of the window, from 0
	Position  int     `json:"position"` // of the token in its window; the first is at 0 and has no predecessor
	Token     int     `json:"token"`
	Source    float64 `json:"source"`    // ln of the probability, in nats
	Converted float64 `json:"converted"` // likewise
}

// LogProbs makes Compare tell sink the log-probabilities of every token that has a
// predecessor in its window, in the order of windows and positions. An error of sink ends the
// comparison. Numbers that are not finite are not told: Compare returns an error for them.
func LogProbs(sink func(LogProb) error) Option {
	return func(c *comparison) { c.sink = sink }
}

// tell hands the log-probability of the token behind position t of a window to the sink, if
// there is one.
func (c *comparison) tell(window int, tokens []int, t int, x *pair) error {
	if c.sink == nil || t+1 == len(tokens) {
		return nil
	}
	p := LogProb{Window: window, Position: t + 1, Token: tokens[t+1], Source: x.p.target - x.p.log(), Converted: x.q.target - x.q.log()}
	if !finite(p.Source) || !finite(p.Converted) {
		return nil
	}
	return c.sink(p)
}
