package sample

import (
	"context"
	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/tokens"
	"math"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"github.com/mha2mla/mha2mla/internal/dev/testmodel"
	"github.com/mha2mla/mha2mla/internal/forward"
	"github.com/mha2mla/mha2mla/internal/vector"
)

// within is an amount of memory in which everything fits.
const within = 1 << 40

// temp names files in a folder of the test's own.
func temp(t *testing.T) func() string {
	return func() string { return filepath.Join(t.TempDir(), "streams") }
}

// TestMake: a model makes what it was planned to make, twice the same on whatever
// processors, and all of it in windows that a model takes.
func TestMake(t *testing.T) {
	for name, c := range map[string]struct {
		model   testmodel.Llama
		tokens  int
		window  int
		memory  int64
		prompts [][]int
	}{
		"no start token":  {model: testmodel.Llama{KVHeads: 2}, tokens: 700, memory: within},
		"a start token":   {model: testmodel.Llama{Config: map[string]any{"bos_token_id": 1}}, tokens: 700, memory: within},
		"prompts":         {model: testmodel.Llama{}, tokens: 700, memory: within, prompts: [][]int{{1, 2, 3}, {4}}},
		"redrawn alone":   {model: testmodel.Llama{Config: map[string]any{"bos_token_id": 1}}, tokens: 300, memory: 1},
		"short windows":   {model: testmodel.Llama{}, tokens: 700, window: 48, memory: within},
		"hardly anything": {model: testmodel.Llama{}, tokens: 2, memory: within},
		"norms of heads":  {model: testmodel.Llama{Kind: "qwen3"}, tokens: 300, memory: within},
	} {
		t.Run(name, func(t *testing.T) {
			m := c.model.Open(t)
			p := NewPlan(m, Statistics, c.tokens, c.window, c.memory)
			if (p.Written == 0) != (c.memory == 1) || p.Written+p.Redrawn != p.Tokens+p.HeldOut {
				t.Fatalf("%+v", p)
			}
			if longest := p.Shape().Kept.Longest(); c.window > 0 && longest != c.window {
				t.Errorf("windows of %d tokens, not %d", longest, c.window)
			}
			var texts []calib.Text
			for _, processors := range []int{1, 2} {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
				text, err := p.Make(context.Background(), m, c.prompts, temp(t), nil)
				if err != nil {
					t.Fatal(err)
				}
				texts = append(texts, text)
			}
			if !reflect.DeepEqual(texts[0], texts[1]) {
				t.Error("made twice, the text differs")
			}
			kept, held := count(t, texts[0].Kept, p.Window, m.Vocab), count(t, texts[0].Held, p.Window, m.Vocab)
			if kept > p.Tokens+2 || kept < p.Tokens-2 || held > p.HeldOut || held < p.HeldOut-2 {
				t.Errorf("%d tokens and %d held out of %+v", kept, held, p)
			}
		})
	}
}

// TestPurposes: text to learn from goes on from prompts in every piece, text for statistics in one
// of three, and neither has what the other has.
func TestPurposes(t *testing.T) {
	m := testmodel.Open(t, "../../testdata/stories260k")
	prompt := []int{7, 5, 3, 2, 11}
	made := map[Purpose]tokens.Windows{}
	for purpose, one := range map[Purpose]int{Statistics: 3, Learning: 1} {
		p := NewPlan(m, purpose, 12*pieceTokens, pieceTokens, within)
		text, err := p.Make(context.Background(), m, [][]int{prompt}, temp(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		prompted := 0
		for _, w := range text.Kept {
			if slices.Equal(w[1:1+len(prompt)], prompt) {
				prompted++
			}
		}
		if len(text.Kept) != 12 || prompted != 12/one {
			t.Errorf("purpose %d: %d of %d pieces go on from the prompt", purpose, prompted, len(text.Kept))
		}
		if purpose == Learning && len(text.Held) > 0 {
			t.Errorf("%d windows to learn from are held out of statistics", len(text.Held))
		}
		made[purpose] = text.Kept
	}
	for i, w := range made[Learning] {
		if slices.Equal(w, made[Statistics][i]) {
			t.Errorf("piece %d is made for both purposes", i)
		}
	}
}

// count counts the tokens of windows that may have so many of so large a vocabulary.
func count(t *testing.T, windows tokens.Windows, window, vocab int) int {
	t.Helper()
	n := 0
	for _, w := range windows {
		if len(w) < 2 || len(w) > window {
			t.Errorf("a window of %d", len(w))
		}
		for _, id := range w {
			if id < 0 || id >= vocab {
				t.Errorf("token %d", id)
			}
		}
		n += len(w)
	}
	return n
}

// TestDraw: tokens come as often as is probable.
func TestDraw(t *testing.T) {
	p := []float32{0.1, 0, 0.6, 0.3}
	r := rand.New(rand.NewPCG(1, 2))
	const n = 20000
	drawn := make([]float64, len(p))
	for range n {
		drawn[draw(p, r.Float64())]++
	}
	for id, want := range p {
		if got := drawn[id] / n; math.Abs(got-float64(want)) > 0.015 {
			t.Errorf("token %d comes with probability %.3f, want %.3f", id, got, want)
		}
	}
	nan := float32(math.NaN())
	if id := draw([]float32{nan, nan}, 0.5); id != 0 {
		t.Errorf("of no numbers, token %d", id)
	}
	if id := draw([]float32{0.2, 0.7}, 0.95); id != 1 {
		t.Errorf("past the sum, token %d", id)
	}
}

// TestRace: whoever wins the race over all parts of a distribution wins as often as is
// probable.
func TestRace(t *testing.T) {
	z := []float32{0, 1, -1, 2, 0.5}
	total := 0.0
	for _, v := range z {
		total += math.Exp(float64(v))
	}
	r := rand.New(rand.NewPCG(1, 2))
	const n = 20000
	won := make([]float64, len(z))
	for range n {
		best, winner := math.Inf(-1), -1
		for from := 0; from < len(z); from += 2 {
			if id := race(z[from:min(from+2, len(z))], &best, r); id >= 0 {
				winner = from + id
			}
		}
		won[winner]++
	}
	for id, v := range z {
		if got, want := won[id]/n, math.Exp(float64(v))/total; math.Abs(got-want) > 0.015 {
			t.Errorf("token %d wins with probability %.3f, want %.3f", id, got, want)
		}
	}
}

// TestRedrawSettles: after n passes the first n tokens change no more, whichever they were
// drawn from.
func TestRedrawSettles(t *testing.T) {
	m := testmodel.Llama{KVHeads: 2}.Open(t)
	const T, passes = 12, 5
	redrawn := func(passes int, seed uint64) [][]int {
		windows := tokens.Windows{testmodel.Tokens(T, m.Vocab, seed), testmodel.Tokens(T/2, m.Vocab, seed)}
		for _, w := range windows {
			w[0] = 1
		}
		if err := Redraw(context.Background(), m, windows, passes, 7, temp(t), nil); err != nil {
			t.Fatal(err)
		}
		return windows
	}
	a, b, settled := redrawn(passes, 1), redrawn(passes, 2), redrawn(T, 3)
	for i := range a {
		for at := range min(len(a[i]), passes+1) {
			if a[i][at] != b[i][at] || a[i][at] != settled[i][at] {
				t.Errorf("window %d, token %d: %d, %d and %d", i, at, a[i][at], b[i][at], settled[i][at])
			}
		}
	}
	if reflect.DeepEqual(a, settled) {
		t.Error("nothing is left to settle: the test is too easy")
	}
}

// TestWritten: what is written is likely to the model that wrote it: more so than what
// was drawn evenly, and about as much as the model is sure of itself.
func TestWritten(t *testing.T) {
	m := testmodel.Open(t, "../../testdata/stories260k")
	p := NewPlan(m, Statistics, 512, 0, within)
	text, err := p.Make(context.Background(), m, nil, temp(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	loss, entropy, n := 0.0, 0.0, 0
	for _, w := range text.Kept[:1] {
		z, err := forward.Decoder{Model: m}.Logits(w)
		if err != nil {
			t.Fatal(err)
		}
		for at := range len(w) - 1 {
			row := z.Data[at*z.Cols : (at+1)*z.Cols]
			vector.Softmax(row)
			loss -= math.Log(float64(row[w[at+1]]))
			for _, p := range row {
				entropy -= float64(p) * math.Log(float64(p)+1e-30)
			}
			n++
		}
	}
	loss, entropy = loss/float64(n), entropy/float64(n)
	if loss > entropy+1 || loss > 4 { // evenly drawn tokens have ln 512 = 6.2
		t.Errorf("a loss of %.2f, of which the model expects %.2f", loss, entropy)
	}
}
