package heal

import "context"

// turns lets layers that are under way at the same time do something one after the other.
type turns []chan struct{} // [layers], each closed when its layer has had its turn

// newTurns returns the turns of n layers.
func newTurns(n int) turns {
	t := make(turns, n)
	for i := range t {
		t[i] = make(chan struct{})
	}
	return t
}

// wait waits until the layers before n have had their turns. It returns the cause of ctx if
// that ends before.
func (t turns) wait(ctx context.Context, n int) error {
	if n == 0 {
		return context.Cause(ctx)
	}
	select {
	case <-t[n-1]:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// done ends the turn of layer n.
func (t turns) done(n int) { close(t[n]) }
