package vector

//go:generate go run -C ../fastblas/gen ./vector -pkg vector -out ../../vector/vector_amd64.s -stubs ../../vector/vector_amd64.go

import "math"

// Softmax replaces the scores v, of which there must be one or more, by the probabilities
// e^v / Σ e^v.
func Softmax(v []float32) {
	Scale(v, 1/exponentials(v, Max(v)))
}

// Max returns the largest of v, which must hold one or more numbers and no NaN.
func Max(v []float32) float32 {
	largest, done := maximumFirst(v)
	for _, x := range v[done:] {
		largest = max(largest, x)
	}
	return largest
}

// exponentials replaces each x of v by e^(x − shift), and returns the sum of the results.
func exponentials(v []float32, shift float32) float32 {
	sum, done := exponentialFirst(v, shift)
	for i, x := range v[done:] {
		e := exp(x - shift)
		v[done+i] = e
		sum += e
	}
	return sum
}

// Scale multiplies v by factor.
func Scale(v []float32, factor float32) {
	rest := v[scaleFirst(v, factor):]
	for i := range rest {
		rest[i] *= factor
	}
}

// SiLU replaces each g by g/(1 + e^−g)·up. Up must be as long as g or longer.
func SiLU(g, up []float32) { gate(g, up, -1, 0) }

// GELU replaces each g by g·(1 + tanh z)/2·up with z = √(2/π)·(g + 0.044715·g³), which is
// g/(1 + e^−2z)·up. Up must be as long as g or longer.
func GELU(g, up []float32) {
	z := math.Sqrt(2 / math.Pi)
	gate(g, up, float32(-2*z), float32(-2*z*0.044715))
}

// gate replaces g by g/(1 + e^(linear·g + cubic·g³))·up.
func gate(g, up []float32, linear, cubic float32) {
	up = up[:len(g)]
	for i := gateFirst(g, up, linear, cubic); i < len(g); i++ {
		v := g[i]
		g[i] = v / (1 + exp((linear+cubic*(v*v))*v)) * up[i]
	}
}

// SiLUBack takes the gradient of a loss with respect to SiLU(g, up) back: it replaces each g by
// the gradient with respect to it, and each up likewise. Up and gradient must be as long as g.
func SiLUBack(g, up, gradient []float32) { gateBack(g, up, gradient, -1, 0) }

// GELUBack is SiLUBack for GELU.
func GELUBack(g, up, gradient []float32) {
	z := math.Sqrt(2 / math.Pi)
	gateBack(g, up, gradient, float32(-2*z), float32(-2*z*0.044715))
}

// gateBack is SiLUBack for the function that gate computes. With σ = 1/(1 + e^u) and
// u = linear·g + cubic·g³, g·σ·up has the derivative up·(σ − g·u'·σ·(1−σ)) with respect to g.
func gateBack(g, up, gradient []float32, linear, cubic float32) {
	up, gradient = up[:len(g)], gradient[:len(g)]
	part := make([]float32, min(len(g), gateAtOnce))
	for from := 0; from < len(g); from += len(part) {
		n := min(len(part), len(g)-from)
		g, up, gradient, sigma := g[from:from+n], up[from:from+n], gradient[from:from+n], part[:n]
		for i, v := range g {
			sigma[i] = (linear + cubic*(v*v)) * v
		}
		falling(sigma)
		for i, v := range g {
			s, d := sigma[i], gradient[i]
			steep := (linear + 3*cubic*(v*v)) * v
			g[i], up[i] = d*up[i]*(s-steep*s*(1-s)), d*(v*s)
		}
	}
}

// falling replaces each u by 1/(1 + e^u). The kernel of gate computes u times that.
func falling(u []float32) {
	product, ones := make([]float32, len(u)), make([]float32, len(u))
	copy(product, u)
	for i := range ones {
		ones[i] = 1
	}
	gate(product, ones, 1, 0)
	for i, x := range u {
		if x == 0 {
			u[i] = 0.5
			continue
		}
		u[i] = product[i] / x
	}
}

// gateAtOnce is how many numbers of gates are taken back at once, few enough to stay in the
// first-level cache.
const gateAtOnce = 1024

// exp returns e^x to float32 precision, but 0 where that is subnormal and infinity where it
// is above 2^127.5. It splits x = n·ln 2 + r, |r| ≤ ln 2 / 2, approximates e^r as Cephes does
// (S. Moshier, expf.c), and puts n into the exponent.
func exp(x float32) float32 {
	const ln2High, ln2Low = 0.693145751953125, 1.428606765330187e-06 // their sum is ln 2; products with the first are exact
	x = min(max(x, -127*math.Ln2), 128*math.Ln2)
	half := float32(0.5)
	if x < 0 {
		half = -half
	}
	n := int32(x*math.Log2E + half)
	r := x - float32(n)*ln2High - float32(n)*ln2Low
	p := ((((1.9875691500e-4*r+1.3981999507e-3)*r+8.3334519073e-3)*r+4.1665795894e-2)*r+1.6666665459e-1)*r + 5.0000001201e-1
	return (1 + (r + r*r*p)) * math.Float32frombits(uint32(n+127)<<23)
}

// Sums are sums over two lists of logits, p and q. P and Q are the largest of each, or
// something near, so that no exponential is out of range.
type Sums struct {
	ExpP  float64 // Σ e^(p − P)
	Cross float64 // Σ e^(p − P)·(p − q)
	ExpQ  float64 // Σ e^(q − Q)
}

// LogSums returns the sums over p and q in double precision. LargestP is P and largestQ is Q.
// Q must be as long as p or longer.
func LogSums(p, q []float32, largestP, largestQ float64) Sums {
	q = q[:len(p)]
	s, done := logSumFirst(p, q, largestP, largestQ)
	for i := done; i < len(p); i++ {
		e := math.Exp(float64(p[i]) - largestP)
		s.ExpP += e
		s.Cross += e * (float64(p[i]) - float64(q[i]))
		s.ExpQ += math.Exp(float64(q[i]) - largestQ)
	}
	return s
}
