package calib

import (
	"context"
	"errors"

	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/fsys"
	"github.com/mha2mla/mha2mla/internal/tokens"
)

// mostChunks is how many chunks a text is cut into at most. Each has sums of its own, which are as
// large as those of all: 43 GB for a model of 70 billion parameters.
const mostChunks = 8

// chunk is windows of a text that a model may run on by itself. What they add up to is added to
// the sums of the chunks before, on one machine as on several, so that the sums are always the
// same.
type chunk struct {
	windows tokens.Windows
	kept    int   // how many of them are added up: the first ones
	sampled []int // indices of those whose inputs are kept as they are
}

// Chunks returns how many chunks the text has.
func (t Text) Chunks() int { return min(len(t.Kept), mostChunks) }

// chunks cuts the text into chunks. Windows that are held out belong to the last one.
func (t Text) chunks() []chunk {
	windows, sampled := t.run()
	chunks := make([]chunk, t.Chunks())
	from := 0
	for k := range chunks {
		kept := (k+1)*len(t.Kept)/len(chunks) - from
		to := from + kept
		if k == len(chunks)-1 {
			to = len(windows)
		}
		chunks[k] = chunk{windows: windows[from:to], kept: kept}
		for _, i := range sampled {
			if from <= i && i < to {
				chunks[k].sampled = append(chunks[k].sampled, i-from)
			}
		}
		from = to
	}
	return chunks
}

// sampleShape returns the shape of the inputs of a layer that are kept as they are, [windows,
// tokens, d].
func sampleShape(chunks []chunk, hidden int) []int64 {
	shape := []int64{0, 0, int64(hidden)}
	for _, c := range chunks {
		for _, i := range c.sampled {
			shape[0], shape[1] = shape[0]+1, int64(len(c.windows[i]))
		}
	}
	return shape
}

// WriteChunk runs m on chunk k of a text and writes its statistics to f, which it closes. Temp,
// progress and errors are those of Collect.
func WriteChunk(ctx context.Context, m *family.Model, t Text, k int, f fsys.File, temp func() string, progress func(done, total int64)) error {
	chunks := t.chunks()[k : k+1]
	info, err := describe(m, chunks[0].windows[:chunks[0].kept])
	if err != nil {
		return errors.Join(err, f.Close())
	}
	return fill(ctx, m, f, info, sampleShape(chunks, m.Hidden), func(take func(int, *Sums) error) error {
		return collectChunks(ctx, m, chunks, temp, take, progress)
	})
}

// JoinChunks adds up the statistics of all chunks of a text, in their order, and writes to f, which
// it closes, what Gather would have written. It is an error if one is not of that chunk.
func JoinChunks(ctx context.Context, m *family.Model, t Text, files []*File, f fsys.File) error {
	chunks := t.chunks()
	info, err := describe(m, t.Kept)
	for k, file := range files {
		err = errors.Join(err, file.isChunk(m, chunks[k]))
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	return fill(ctx, m, f, info, sampleShape(chunks, m.Hidden), func(take func(int, *Sums) error) error {
		for layer := range m.Layers {
			var total *Sums
			for _, file := range files {
				sums, err := file.Sums(layer)
				if err != nil {
					return err
				}
				if total == nil {
					total = sums
				} else {
					total.follow(sums)
				}
			}
			if err := errors.Join(take(layer, total), context.Cause(ctx)); err != nil {
				return err
			}
		}
		return nil
	})
}

// isChunk is an error if the statistics are not those of a chunk of a text of m.
func (f *File) isChunk(m *family.Model, c chunk) error {
	info, err := describe(m, c.windows[:c.kept])
	if err != nil {
		return err
	}
	if len(f.Data) != 1 || f.Data[0] != info.Data[0] {
		return f.malformed("it is of other tokens than this part of the text has")
	}
	return f.complete(m, len(c.sampled) > 0)
}
