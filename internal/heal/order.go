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

// Usual returns the order of layers that are healed in the given way, unless another is asked
// for.
func Usual(steps Steps) Order {
	if steps == Output {
		return Sequential
	}
	return Both
}
