package convert

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/export"
	"github.com/mha2mla/mha2mla/internal/fsys"
	"github.com/mha2mla/mha2mla/internal/gguf"
	"github.com/mha2mla/mha2mla/internal/layout"
	"github.com/mha2mla/mha2mla/internal/plan"
)

// shard is one file of weights.
type shard struct {
	file    string
	writer  *checkpoint.Writer  // nil once it is complete
	left    int                 // tensors that are not complete, and one for the inputs, under run.mu
	inputs  map[string]string   // digests of tensors of the source by their names, see run.inputs
	digests *checkpoint.Digests // once it is, from this run or an earlier one

	elsewhere bool // another process makes it, or has made it
}

// kept reports whether the shard is not to be written, now or any more.
func (s *shard) kept() bool { return s.elsewhere || s.digests != nil }

// open decides which shards are to be written, and creates them.
func (r *run) open(ctx context.Context) error {
	specs := make([][]checkpoint.Spec, len(r.Shards))
	for _, t := range r.Tensors {
		specs[t.Shard] = append(specs[t.Shard], t.Spec)
		r.planned[t.Name] = t
	}
	for i, s := range r.Shards {
		r.shards = append(r.shards, &shard{file: s.File, left: len(specs[i]) + 1})
	}
	if err := r.ledger.begin(ctx, r); err != nil {
		return err
	}
	metadata := map[string]string{"format": "pt", "mha2mla": r.Version, checkpoint.MetadataConfig: string(r.Config)}
	for i, s := range r.shards {
		if !s.elsewhere {
			r.total += r.Shards[i].Bytes
		}
	}
	for i, s := range r.shards {
		switch {
		case s.elsewhere:
			continue
		case s.digests != nil:
			r.advance(r.Shards[i].Bytes)
			continue
		}
		f, err := r.ledger.create(s.file)
		if err != nil {
			return err
		}
		if s.writer, err = r.writer(f, i, specs[i], metadata); err != nil {
			return err
		}
	}
	return nil
}

// writer begins the file of a shard.
func (r *run) writer(f fsys.File, shard int, specs []checkpoint.Spec, metadata map[string]string) (*checkpoint.Writer, error) {
	if r.Keys != nil {
		return checkpoint.NewGGUFWriter(f, specs, r.KeysOf(shard))
	}
	return checkpoint.NewWriter(f, specs, metadata)
}

// Room for what is not weights: a little, what each tensor takes in header, index
// and manifest, and what each shard does besides its configuration.
const (
	roomBeside = 64 << 10
	roomTensor = 512
	roomShard  = 4 << 10
)

// room is how many bytes will be written.
func (r *run) room() (int64, error) {
	need := int64(roomBeside + roomTensor*len(r.Tensors) + (roomShard+len(r.Config))*(len(r.shards)+1))
	for i, s := range r.shards {
		if !s.kept() {
			need += r.Shards[i].Bytes
		}
	}
	keys, _, err := gguf.Header(r.Keys, nil)
	if err != nil {
		return 0, err
	}
	need += int64(len(keys))
	for _, t := range r.Tensors {
		if n, ok := r.layerOf(t); ok && r.Healer != nil && (r.earlier[n] == nil || r.earlier[n].Heal == nil) {
			need += 4 * t.Elements() // as they are kept
		}
	}
	for _, name := range r.Companions {
		if info, err := os.Stat(filepath.Join(r.Source.Source.Dir, name)); err == nil {
			need += info.Size()
		}
	}
	return need, nil
}

// abandon closes the shards as they are, and the ledger.
func (r *run) abandon() error {
	var errs []error
	for _, s := range r.shards {
		if s.writer != nil {
			errs = append(errs, s.writer.Abandon())
			s.writer = nil
		}
	}
	return errors.Join(append(errs, r.ledger.close())...)
}

// tensor is a tensor being written. Closing the last of a shard whose inputs are digested puts
// the shard on the disk.
type tensor struct {
	*checkpoint.TensorWriter
	run   *run
	shard *shard
}

// tensor opens a tensor of a shard that is not complete.
func (r *run) tensor(name string) *tensor {
	s := r.shards[r.planned[name].Shard]
	return &tensor{s.writer.Tensor(name), r, s}
}

// Close completes the tensor.
func (t *tensor) Close() error {
	if err := t.TensorWriter.Close(); err != nil {
		return err
	}
	return t.run.finished(t.shard)
}

// finished counts a tensor of a shard, or its inputs, as done.
func (r *run) finished(s *shard) error {
	r.mu.Lock()
	s.left--
	last := s.left == 0
	r.mu.Unlock()
	if !last {
		return nil
	}
	return r.complete(s)
}

// complete puts a shard on the disk, then that it is there.
func (r *run) complete(s *shard) error {
	w := s.writer
	s.writer = nil
	if err := w.Close(); err != nil {
		return err
	}
	s.digests = w.Digests()
	return r.ledger.shard(r, &shardRecord{s.file, s.digests, s.inputs})
}

// kept reports whether a tensor is there from an earlier run, or is another process's to make.
func (r *run) kept(t plan.Tensor) bool { return r.shards[t.Shard].kept() }

// sink takes a tensor of a layer. What belongs to a shard that is complete, because
// the layer lies in several, goes nowhere.
func (r *run) sink(name string) layout.Sink {
	if keys, values, ok := export.Parts(name); ok && r.Keys != nil {
		m := r.Target.MLA
		return &export.Splitter{Keys: r.sink(keys), Values: r.sink(values), Rank: m.KVLoraRank, Nope: m.NopeDim, ValueD: m.ValueDim}
	}
	t := r.planned[name]
	if r.kept(t) {
		return nowhere{t}
	}
	return &computed{floats: r.floats(name), precision: t.Precision}
}

// nowhere takes the values of a tensor that is there already.
type nowhere struct{ plan.Tensor }

// DType is the type that has values as fine as those of the tensor.
func (n nowhere) DType() checkpoint.DType { return n.Precision }

// WriteFloats does nothing.
func (nowhere) WriteFloats([]float64) error { return nil }

// Close does nothing.
func (nowhere) Close() error { return nil }
