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

	// Attention, if not zero, multiplies queries and keys, all of their dimensions.
	Attention float64 `json:"attention_factor,omitempty"`
}

// Frequencies returns the frequencies of dim rotary dimensions of base theta
// after scaling, in radians per token.
func (s *Scaling) Frequencies(theta float64, dim int) []float64 {
	freq := Frequencies(theta, dim)
	if s == nil {
		return freq
	}
	for i, omega := range freq {
		kept := s.kept(float64(i), theta, dim)
		freq[i] = omega * (kept + (1-kept)/s.Factor)
	}
	return freq
}

// kept is the part of pair i, a real number, of dim rotary dimensions of base theta
// that is not stretched.
func (s *Scaling) kept(i, theta float64, dim int) float64 {
	switch s.Kind {
	case "llama3":
		turns := math.Pow(theta, -2*i/float64(dim)) / (2 * math.Pi) * s.Original
		return min(1, max(0, (turns-s.Low)/(s.High-s.Low)))
	case "yarn":
		first := max(0, math.Floor(s.pair(s.High, theta, dim)))
		last := min(float64(dim-1), math.Ceil(s.pair(s.Low, theta, dim)))
		if last == first {
			last += 0.001 // as Transformers has it
		}
		return 1 - min(1, max(0, (i-first)/(last-first)))
	default:
		return 0
	}
}

// pair is the pair, as a real number, that turns so many times over Original.
func (s *Scaling) pair(turns, theta float64, dim int) float64 {
	return float64(dim) * math.Log(s.Original/(turns*2*math.Pi)) / (2 * math.Log(theta))
}
