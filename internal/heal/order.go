package heal

// Order says on which residual stream layers are healed (design §9).
type Order string

// The orders.
const (
	Own        Order = "own"        // on the source's own stream, each layer by itself
	Sequential Order = "sequential" // on what the healed layers before make, one layer after the other
	Both       Order = "both"       // on the source's own stream, and then W_o on what the healed layers make
)

// Orders lists the orders.
func Orders() []Order { return []Order{Own, Sequential, Both} }

// Usual returns the order of a way of healing unless another is asked for. Steps on the stream of
// the healed layers ask a layer to undo what those before it lost, most of which it cannot know.
// On the source's own stream it learns what can be learned, beside other layers, and W_o alone
// then makes up for what is linear in the losses of those before. In closed form W_o has nothing
// to make up for on the source's stream but the layer's own loss.
func (s Steps) Usual() Order {
	if s == Output || s == None {
		return Sequential
	}
	return Both
}
