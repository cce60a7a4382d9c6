package distill

import (
	"math/rand/v2"
	"slices"

	"github.com/mha2mla/mha2mla/internal/tokens"
)

// order deals the windows to learn from out to steps, all of them before any comes again, and
// every time in another order.
type order struct {
	windows tokens.Windows
	train   []int
	rng     *rand.Rand
	queue   []int
}

func newOrder(train []int, windows tokens.Windows) *order {
	return &order{windows: windows, train: train, rng: rand.New(rand.NewPCG(23, 29))}
}

// next returns the windows of the next step.
func (o *order) next() []int {
	var some []int
	tokens := 0
	for tokens < tokensAtOnce {
		if len(o.queue) == 0 {
			o.queue = slices.Clone(o.train)
			o.rng.Shuffle(len(o.queue), func(i, j int) { o.queue[i], o.queue[j] = o.queue[j], o.queue[i] })
		}
		n := len(o.windows[o.queue[0]])
		if len(some) > 0 && (tokens+n > tokensAtOnce || slices.Contains(some, o.queue[0])) {
			break
		}
		some, o.queue, tokens = append(some, o.queue[0]), o.queue[1:], tokens+n
	}
	return some
}
