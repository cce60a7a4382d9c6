package verify

import (
	"context"
	"math"
	"slices"

	"github.com/mha2mla/mha2mla/internal/f32"
	"github.com/mha2mla/mha2mla/internal/vector"
)

// totals are sums over tokens.
type totals struct {
	tokens        int
	predicted     int // tokens that had a predecessor in their window
	agreed        int // tokens with the same most likely successor in both models
	kl            float64
	positions     byPosition
	sourceLoss    float64 // nats
	convertedLoss float64 // nats
}

// vocabularyAtOnce is how many rows of the heads are held at a time. Logits are never held
// for the whole vocabulary, because sums over it are updated part by part.
const vocabularyAtOnce = 4096

// head compares the two distributions over the next token behind every token of a batch.
func (c *comparison) head(ctx context.Context, streams []*stream) error {
	sums := make(map[*stream][]pair, len(streams))
	for _, s := range streams {
		if err := c.source.Finish(s.source); err != nil {
			return err
		}
		if err := c.converted.Finish(s.converted); err != nil {
			return err
		}
		sums[s] = make([]pair, len(s.tokens))
		for t := range sums[s] {
			sums[s][t].reset()
		}
	}
	for from := 0; from < c.source.Vocab; from += vocabularyAtOnce {
		to := min(from+vocabularyAtOnce, c.source.Vocab)
		ours, err := c.source.HeadRows(from, to)
		if err != nil {
			return err
		}
		theirs, err := c.converted.HeadRows(from, to)
		if err != nil {
			return err
		}
		err = f32.Each(ctx, len(streams), func(i int) error {
			s := streams[i]
			s.addLogits(sums[s], from, ours, theirs)
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, s := range streams {
		for t := range s.tokens {
			c.totals.add(&sums[s][t], t, t+1 < len(s.tokens))
			if err := c.tell(c.windows, s.tokens, t, &sums[s][t]); err != nil {
				return err
			}
		}
		c.windows++
	}
	return nil
}

// tokensAtOnce bounds the logits held at a time.
const tokensAtOnce = 128

// addLogits adds the logits of the head rows that begin at token id from.
func (s *stream) addLogits(sums []pair, from int, ours, theirs f32.Matrix) {
	p, q := f32.New(tokensAtOnce, ours.Rows), f32.New(tokensAtOnce, ours.Rows)
	for at := 0; at < len(s.tokens); at += tokensAtOnce {
		n := min(tokensAtOnce, len(s.tokens)-at)
		f32.ProjectTo(p.RowsFrom(0, n), s.source.RowsFrom(at, n), ours)
		f32.ProjectTo(q.RowsFrom(0, n), s.converted.RowsFrom(at, n), theirs)
		for t := range n {
			next := -1
			if at+t+1 < len(s.tokens) {
				next = s.tokens[at+t+1]
			}
			sums[at+t].add(p.Data[t*p.Cols:(t+1)*p.Cols], q.Data[t*q.Cols:(t+1)*q.Cols], from, next)
		}
	}
}

// pair accumulates two distributions over the next token of one position.
type pair struct {
	p, q  logSum
	cross float64 // Σ e^{zp − p.largest}·(zp − zq)
}

// logSum accumulates Σ e^z as e^largest · sum.
type logSum struct {
	largest float64
	sum     float64
	best    int     // token of the largest logit
	target  float64 // logit of the token that came next
}

// reset begins the sums anew.
func (x *pair) reset() {
	x.p.largest, x.q.largest = math.Inf(-1), math.Inf(-1)
}

// add adds the logits of the token ids from on. Next is the token that came next, or −1.
func (x *pair) add(zp, zq []float32, from, next int) {
	x.cross *= x.p.raise(zp, from)
	x.q.raise(zq, from)
	s := vector.LogSums(zp, zq, x.p.largest, x.q.largest)
	x.p.sum += s.ExpP
	x.cross += s.Cross
	x.q.sum += s.ExpQ
	if i := next - from; i >= 0 && i < len(zp) {
		x.p.target, x.q.target = float64(zp[i]), float64(zq[i])
	}
}

// raise sets largest to the largest of z if that is larger, rescales the sum to it, and
// returns the factor by which it has multiplied the sum.
func (s *logSum) raise(z []float32, from int) float64 {
	before := s.largest
	if largest := vector.Max(z); float64(largest) > before {
		s.largest, s.best = float64(largest), from+slices.Index(z, largest)
	}
	factor := math.Exp(before - s.largest)
	s.sum *= factor
	return factor
}

// log returns log Σ e^z.
func (s *logSum) log() float64 { return s.largest + math.Log(s.sum) }

// add adds the comparison behind a token at a position of its window. Scored says whether the
// next token is known. The divergence is KL(source‖converted) = Σ p·(ln p − ln q), in nats.
func (t *totals) add(x *pair, position int, scored bool) {
	kl := x.cross/x.p.sum - x.p.log() + x.q.log()
	t.tokens++
	t.kl += kl
	t.positions.add(position, kl)
	if x.p.best == x.q.best {
		t.agreed++
	}
	if scored {
		t.predicted++
		t.sourceLoss += x.p.log() - x.p.target
		t.convertedLoss += x.q.log() - x.q.target
	}
}
