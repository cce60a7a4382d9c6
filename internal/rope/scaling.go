package rope

import "math"

// Scaling changes the frequencies of RoPE for longer contexts, as the stock
// implementations of Transformers do. The zero value changes nothing.
type Scaling struct {
	Kind     string  `json:"rope_type"` // linear, llama3 or yarn
	Factor   float64 `json:"factor"`
	Original float64 `json:"original_max_position_embeddings,omitempty"` // positions before scaling

	// Low and High are numbers of turns over Original. A pair that makes fewer than
	// Low is stretched by Factor, one that makes more than High is not, and between
	// them llama3 and yarn each interpolate in their own way.
	Low  float64 `json:"low,omitempty"`
	High float64 `json:"high,omitempty"`

	// Attention, if not zero, multiplies all dimensions of queries and keys.
	Attention float64 `json:"attention_factor,omitempty"`
}

// Frequencies returns the frequencies of dim rotary dimensions of base theta after
// scaling, [dim/2] in radians per token. A nil Scaling scales nothing.
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

// kept returns which part of the frequency of pair i, given as a real number, of dim
// rotary dimensions of base theta is not stretched.
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

// pair returns the pair, as a real number, that makes the given number of turns over
// Original positions.
func (s *Scaling) pair(turns, theta float64, dim int) float64 {
	return float64(dim) * math.Log(s.Original/(turns*2*math.Pi)) / (2 * math.Log(theta))
}
