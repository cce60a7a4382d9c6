package convert

import (
	"context"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"
	"gonum.org/v1/gonum/blas/blas64"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/floatconv"
	"github.com/mha2mla/mha2mla/internal/plan"
)

// copyBytes is how much of a tensor is held while it is copied.
const copyBytes = 1 << 20

// copiers is how many tensors are copied at a time: while one is written others are
// read and digested. Copying waits for disks, not for processors.
const copiers = 4

// carryAll writes every tensor that is not computed.
func (r *run) carryAll(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(copiers)
	for _, t := range r.Tensors {
		if t.Action != plan.Compute && !r.kept(t) {
			group.Go(func() error { return r.carried(ctx, t) })
		}
	}
	return group.Wait()
}

// carried writes a tensor that is not computed.
func (r *run) carried(ctx context.Context, t plan.Tensor) error {
	defer r.clock.add(&r.clock.Carry, time.Now(), 0)
	switch t.Action {
	case plan.Zero:
		return r.zeroTensor(ctx, t, make([]byte, copyBytes))
	case plan.Copy:
		buf, to := make([]byte, copyBytes), r.tensor(t.Name)
		for _, w := range t.Weights() {
			if err := r.copyWeight(ctx, w, to, buf); err != nil {
				return err
			}
		}
		return to.Close()
	}
	values, to := make([]float64, min(copyBytes/8, t.Elements())), r.floats(t.Name)
	for _, w := range t.Weights() {
		if err := r.convertWeight(ctx, w, t.Factor, to, values); err != nil {
			return err
		}
	}
	return to.Close()
}

// zeroTensor writes zeros.
func (r *run) zeroTensor(ctx context.Context, t plan.Tensor, zeros []byte) error {
	to := r.tensor(t.Name)
	for left := t.Bytes(); left > 0; left -= int64(len(zeros)) {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		zeros = zeros[:min(int64(len(zeros)), left)]
		if _, err := to.Write(zeros); err != nil {
			return err
		}
		r.advance(int64(len(zeros)))
	}
	return to.Close()
}

// copyWeight copies the bytes of a weight, looking at floats as they pass.
func (r *run) copyWeight(ctx context.Context, from *family.Weight, to *tensor, buf []byte) error {
	data, dtype := from.Data(), from.DType()
	look := dtype.Float()
	for at := int64(0); at < from.Bytes(); {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		part := buf[:min(int64(len(buf)), from.Bytes()-at)]
		if _, err := io.ReadFull(data, part); err != nil {
			return from.ReadError(err)
		}
		if look {
			if i := checkpoint.FirstNonFinite(part, dtype); i >= 0 {
				r.warnNonFinite(from, at/dtype.Size()+int64(i))
				look = false // once a tensor
			}
		}
		if _, err := to.Write(part); err != nil {
			return err
		}
		at += int64(len(part))
		r.advance(int64(len(part)))
	}
	return nil
}

// convertWeight writes the values of a weight in another type, or times a factor that contains the
// weight's own. It uses the room of values.
func (r *run) convertWeight(ctx context.Context, from *family.Weight, factor float64, to *floats, values []float64) error {
	factor /= from.Factor
	look := true
	for at := int64(0); at < from.Elements(); {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		part := values[:min(int64(len(values)), from.Elements()-at)]
		if err := family.ReadValues(from, at, part); err != nil {
			return err
		}
		if factor != 1 {
			blas64.Scal(factor, blas64.Vector{N: len(part), Inc: 1, Data: part})
		}
		if look {
			if i := floatconv.FirstNonFinite(part); i >= 0 {
				r.warnNonFinite(from, at+int64(i))
				look = false
			}
		}
		if err := to.WriteFloats(part); err != nil {
			return err
		}
		at += int64(len(part))
		r.advance(checkpoint.Spec{DType: to.Spec().DType, Shape: []int64{int64(len(part))}}.Bytes())
	}
	return nil
}

// warnNonFinite warns of a value that is carried along though it is none, once
// for a tensor: a tied embedding is carried along twice.
func (r *run) warnNonFinite(w *family.Weight, index int64) {
	t, at := w.Locate(index)
	r.mu.Lock()
	before := r.warned[t]
	r.warned[t] = true
	r.mu.Unlock()
	if before {
		return
	}
	r.warn(fmt.Sprintf("tensor %q has a value at %v that is NaN or Inf; it is copied as it is", t.Name, t.Position(at)))
}
