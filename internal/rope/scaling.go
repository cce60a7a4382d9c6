package rope

import "math"

// Scaling changes the frequencies of RoPE for longer contexts, as the stock
// implementations of Transformers do. The zero value changes nothing.
type Scaling struct {
	Kind     string  `json:"rope_type"` // linear, llama3 or yarn
	Factor   float64 `json:"factor"`
	Original float64 `json:"original_max_position_embeddings,omitempty"` // positions before scaling

	// Of llama3: wavelengths above Original/Low are stretched by Factor, those
	// below Original/High are not. Of yarn, in turns over Original: those that make
	// fewer than Low are stretched, those that make more than High are not.
	Low  float64 `json:"low,omitempty"`
	High float64 `json:"high,omitempty"`

	// Attention, if not zero, multiplies queries and keys.
	Attention float64 `json:"attention_factor,omitempty"`
}

// Frequencies returns the frequencies of dim rotary dimensions of base theta
// after scaling, in radians per token.
func (s *Scaling) Frequencies(theta float64, dim int) []float64 {
	freq := Frequencies(theta, dim)
	switch {
	case s == nil:
	case s.Kind == "linear":
		for i := range freq {
			freq[i] /= s.Factor
		}
	case s.Kind == "llama3":
		for i, omega := range freq {
			turns := omega / (2 * math.Pi) * s.Original
			kept := min(1, max(0, (turns-s.Low)/(s.High-s.Low)))
			freq[i] = omega * (kept + (1-kept)/s.Factor)
		}
	case s.Kind == "yarn":
		// the pair, as a real number, that turns so many times
		pair := func(turns float64) float64 {
			return float64(dim) * math.Log(s.Original/(turns*2*math.Pi)) / (2 * math.Log(theta))
		}
		first, last := max(0, math.Floor(pair(s.High))), min(float64(dim-1), math.Ceil(pair(s.Low)))
		if last == first {
			last += 0.001 // as Transformers has it
		}
		for i, omega := range freq {
			stretched := min(1, max(0, (float64(i)-first)/(last-first)))
			freq[i] = omega * (1 - stretched + stretched/s.Factor)
		}
	}
	return freq
}
