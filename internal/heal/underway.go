package heal

import (
	"context"
	"errors"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/forward"
	"github.com/mha2mla/mha2mla/internal/latent"
)

// underWay is a layer that is being healed.
type underWay struct {
	*Healer
	n      int
	layer  *forward.Layer   // of the source
	before *forward.Streams // the source's, before its attention; nil if nobody will ask
	lesson *lesson          // nil if it learns nothing
}

// begin waits for the turn of layer n to take the source's stream through it. If the layer
// will learn, its lesson is put down on the way.
func (h *Healer) begin(ctx context.Context, n int, learns bool) (*underWay, error) {
	if err := h.advanced.wait(ctx, n); err != nil {
		return nil, err
	}
	if h.order == Sequential {
		if err := h.finished.wait(ctx, n); err != nil {
			return nil, err
		}
	}
	layer, err := h.decoder.Layer(n)
	if err != nil {
		return nil, err
	}
	l := &underWay{Healer: h, n: n, layer: layer}
	if learns {
		if l.lesson, err = newLesson(h.pieces, h.decoder.Hidden, h.temp); err != nil {
			return nil, err
		}
	}
	if err := l.advance(ctx); err != nil {
		return nil, errors.Join(err, l.close())
	}
	h.advanced.done(n)
	return l, nil
}

// advance takes the source's stream through the layer.
func (l *underWay) advance(ctx context.Context) error {
	next, err := forward.NewStreams(l.windows, l.decoder.Hidden, l.temp)
	if err != nil {
		return err
	}
	before := l.source
	err = f32.Each(ctx, len(l.windows), func(i int) error {
		x, err := before.Get(i)
		if err != nil {
			return err
		}
		attended := l.layer.Attend(x)
		if l.lesson != nil {
			err = l.note(i, x, attended)
		}
		x = x.Clone()
		x.Add(attended)
		added, failed := l.layer.MLP(x)
		if err = errors.Join(err, failed); err != nil {
			return err
		}
		x.Add(added)
		return next.Put(i, x)
	})
	if err != nil {
		return errors.Join(err, next.Close())
	}
	l.source = next
	if l.lesson != nil && l.order == Both {
		l.before = before
		return nil
	}
	return before.Close()
}

// note puts down in the lesson what window i says: x is the source's stream and attended what
// its attention adds to it.
func (l *underWay) note(i int, x, attended f32.Matrix) error {
	converted := x
	if l.order == Sequential {
		var err error
		if converted, err = l.converted.Get(i); err != nil {
			return err
		}
	}
	return l.lesson.note(l.layer, l.spans, i, x, converted, attended)
}

// learn puts down a new lesson, on the stream of the healed layers.
func (l *underWay) learn(ctx context.Context) error {
	return f32.Each(ctx, len(l.windows), func(i int) error {
		x, err := l.before.Get(i)
		if err != nil {
			return err
		}
		y, err := l.converted.Get(i)
		if err != nil {
			return err
		}
		return l.lesson.note(l.layer, l.spans, i, x, y, l.layer.Attend(x))
	})
}

// finish takes the other streams through the layer, whose attention is closed in the closed
// form and healed in the converted model. It ends the turn of the layer.
func (l *underWay) finish(ctx context.Context, closed, healed *latent.Layer[float32]) error {
	err := f32.Each(ctx, len(l.windows), func(i int) error {
		var err error
		if l.order != Own || l.windows.Held(i) {
			err = through(l.layer.Around, l.converted, i, healed)
		}
		if l.windows.Held(i) {
			err = errors.Join(err, through(l.layer.Around, l.closed, i, closed))
		}
		return err
	})
	if err == nil {
		l.finished.done(l.n)
	}
	return err
}

// close gives up what the layer alone needs.
func (l *underWay) close() error {
	var errs []error
	if l.before != nil {
		errs = append(errs, l.before.Close())
	}
	if l.lesson != nil {
		errs = append(errs, l.lesson.Close())
	}
	return errors.Join(errs...)
}
