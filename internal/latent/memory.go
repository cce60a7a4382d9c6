package latent

// Shape is what the sizes of a layer's tensors depend on, to say beforehand what training takes.
type Shape struct {
	Hidden         int  // d
	Heads, HeadDim int  // of the source; content, rotary and value dimensions come to about as many
	Latent         int  // floats of the latent and the rotary key of a token
	WideNorms      bool // queries are compressed to as many floats as they have
}

// side is a side of a tensor: its rows or columns, and the heads that they are divided among.
type side struct{ n, heads int }

// sides lists the rows and columns of the tensors: query, W_o, latent with rotary key, the keys and
// values of the latent, the rotary part of the query, and the compressed query.
func (s Shape) sides() [][2]side {
	queries := side{s.Heads * s.HeadDim, s.Heads}
	d, r := side{s.Hidden, 1}, side{s.Latent, 1}
	all := [][2]side{
		{queries, d}, {d, {queries.n, 1}}, {r, d}, {queries, r}, {queries, r},
		{{s.Heads * s.Latent / 4, s.Heads}, d},
	}
	if s.WideNorms {
		all = append(all, [2]side{{queries.n, 1}, d})
	}
	return all
}

// Floats estimates how many numbers the tensors of a layer have.
func (s Shape) Floats() int64 {
	sum := int64(0)
	for _, t := range s.sides() {
		sum += int64(t[0].n) * int64(t[1].n)
	}
	return sum
}

// SoapFloats estimates how many numbers Soap keeps beside the layer: two moments, and the bases
// with theirs.
func (s Shape) SoapFloats() int64 {
	sum := 2 * s.Floats()
	for _, t := range s.sides() {
		for _, side := range t {
			parts := basisCount(side.n, side.heads)
			sum += 2 * int64(side.n) * int64(side.n/parts)
		}
	}
	return sum
}
