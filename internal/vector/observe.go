package vector

// Observe adds up statistics of the attention of one query (design §2). With a its
// probabilities and d the squared distances that belong to them, it adds a to near, a² to seen
// and a²·d to far. A distance that is negative by rounding counts as zero. All slices must be
// as long as a or longer, and only near, seen and far are written.
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
