package calib

import (
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/family"
)

// Sums are statistics of one attention layer, added up over tokens. Those of
// different tokens of one model may be added.
type Sums struct {
	Tokens   float64
	Input    *mat.SymDense // [d × d]: Σ x xᵀ over the attention inputs x
	Attended *mat.SymDense // [d × d]: Σ_t w_t x_t x_tᵀ, w_t = Σ_h Σ_s a_st²; nil if not known
	Mean     []float64     // [d]: Σ x

	QueryNorms []float64 // [H·J]: Σ |q_{h,i}| over tokens
	KeyNorms   []float64 // [G·J]: Σ |z_{g,i}|

	Distances []float64 // [window]: Σ over heads and queries of the attention at each distance
	Scores    []float64 // [H]: Σ_s Σ_t a_st² ‖W_o(v_t − o_s)‖² over queries s and keys t
	Values    []float64 // [H]: Σ_s Σ_t a_st²

	// HeadDistances are the terms of Scores by head and distance s − t, [H·window].
	HeadDistances []float64

	// QueryRMS, [H·2], and KeyRMS, [G·2], are Σ r and Σ r² of each head, r being the root
	// mean square of its queries or keys before their norm. They are empty where queries
	// and keys have no norms.
	QueryRMS, KeyRMS []float64

	// QueryCross, [H·D·d], and KeyCross, [G·D·d], are Σ n xᵀ over the inputs x, with n what the
	// norm of queries or keys makes of them before its weights; AttendedCross, [G·D·d], is that
	// of keys weighted as in Attended. They are empty where there are no norms.
	QueryCross, KeyCross, AttendedCross []float64

	// Sample holds the attention inputs of some windows as they are, [T × d] each,
	// to try a conversion on.
	Sample []f32.Matrix
}

// newSums returns sums of zero for a layer of m and windows of at most that many tokens.
func newSums(m *family.Model, window int) *Sums {
	s, J := m.Shape(), m.HeadDim/2
	sums := &Sums{
		Input: mat.NewSymDense(s.Hidden, nil), Attended: mat.NewSymDense(s.Hidden, nil), Mean: make([]float64, s.Hidden),
		QueryNorms: make([]float64, s.Heads*J), KeyNorms: make([]float64, s.KVHeads*J),
		Distances: make([]float64, window), Scores: make([]float64, s.Heads), Values: make([]float64, s.Heads),
		HeadDistances: make([]float64, s.Heads*window),
	}
	if m.HeadNorms {
		sums.QueryRMS, sums.KeyRMS = make([]float64, rmsSums*s.Heads), make([]float64, rmsSums*s.KVHeads)
		sums.QueryCross = make([]float64, s.Heads*s.HeadDim*s.Hidden)
		sums.KeyCross, sums.AttendedCross = make([]float64, s.KVHeads*s.HeadDim*s.Hidden), make([]float64, s.KVHeads*s.HeadDim*s.Hidden)
	}
	return sums
}

// fields points to the sums that are plain lists, by the names they have in a file.
func (s *Sums) fields() map[string]*[]float64 {
	return map[string]*[]float64{
		"input_sum": &s.Mean, "query_norms": &s.QueryNorms, "key_norms": &s.KeyNorms,
		"distances": &s.Distances, "scores": &s.Scores, "values": &s.Values, "head_distances": &s.HeadDistances,
		"query_rms": &s.QueryRMS, "key_rms": &s.KeyRMS,
		"query_cross": &s.QueryCross, "key_cross": &s.KeyCross, "attended_cross": &s.AttendedCross,
	}
}

// vectors lists the sums that are plain lists, by the same names.
func (s *Sums) vectors() map[string][]float64 {
	all := make(map[string][]float64)
	for name, v := range s.fields() {
		all[name] = *v
	}
	return all
}

// moments lists the sums that are symmetric matrices, by the names they have in a
// file.
func (s *Sums) moments() map[string]*mat.SymDense {
	return map[string]*mat.SymDense{"input_moment": s.Input, "attended_moment": s.Attended}
}

// Plain returns the sums without Attended, as published methods use them (design §2).
func (s *Sums) Plain() *Sums {
	plain := *s
	plain.Attended = nil
	return &plain
}

// Add adds the sums of other tokens of the same layer. The sample stays.
func (s *Sums) Add(other *Sums) {
	s.Tokens += other.Tokens
	s.Input.AddSym(s.Input, other.Input)
	s.Attended.AddSym(s.Attended, other.Attended)
	s.lengthen(len(other.Distances))
	same := *other
	same.lengthen(len(s.Distances))
	theirs := same.vectors()
	for name, v := range s.vectors() {
		addTo(v, theirs[name])
	}
}

// follow adds the sums of the next chunk of the text, and its sample behind the one that is there.
func (s *Sums) follow(next *Sums) {
	s.Add(next)
	s.Sample = append(s.Sample, next.Sample...)
}

// clear makes all sums zero.
func (s *Sums) clear() {
	s.Tokens, s.Sample = 0, nil
	for _, v := range s.vectors() {
		clear(v)
	}
	for _, m := range s.moments() {
		m.Zero()
	}
}

// lengthen makes room for the distances in windows of the given length, if that is
// longer. It writes to new slices, because other sums may share those of s.
func (s *Sums) lengthen(window int) {
	before := len(s.Distances)
	if window <= before {
		return
	}
	s.Distances = slices.Concat(s.Distances, make([]float64, window-before))
	heads := make([]float64, len(s.Scores)*window)
	for h := range s.Scores {
		copy(heads[h*window:], s.HeadDistances[h*before:(h+1)*before])
	}
	s.HeadDistances = heads
}

// addTo adds v to sum.
func addTo(sum, v []float64) {
	for i, x := range v {
		sum[i] += x
	}
}
