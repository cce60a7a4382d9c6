package heal

// Order says on which residual stream layers are healed (design §9).
type Order string

// The orders.
const (
	Own        Order = "own"        // on the source's own stream, each layer by itself
	Sequential Order = "sequential" // on what the healed layers before make, one layer after the other
	Both       Order = "both"       // on the source's own stream first, and then on that of the healed layers
)

// Orders lists the orders.
func Orders() []Order { return []Order{Own, Sequential, Both} }

// Usual is the order unless another is asked for. Behind six layers of SmolLM2-135M at half the
// cache, after 32 steps a layer on 8 windows of 1024 tokens, it leaves an error of 0.0305 on a
// window held out, Both 0.0326, and Own 0.0371.
const Usual = Sequential
