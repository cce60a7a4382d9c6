package vector

// Observe adds up what is to be known of the attention of one query: with a its
// probabilities and d the squared distances that go with them, a to near, a² to seen and
// a²·d to far. A distance that rounding made negative is none. All slices are as
// long as a or longer, and only near, seen and far are written.
func Observe(near, seen, far, a, d []float32) {
	n := len(a)
	near, seen, far, d = near[:n], seen[:n], far[:n], d[:n]
	for i := observeFirst(near, seen, far, a, d); i < n; i++ {
		square := a[i] * a[i]
		near[i] += a[i]
		seen[i] += square
		far[i] += square * max(0, d[i])
	}
}
