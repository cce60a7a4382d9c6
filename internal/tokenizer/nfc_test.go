package tokenizer

import (
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
)

// TestNFC holds the composition for long runs of marks against norm, which is
// right about the short ones.
func TestNFC(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	pool := []rune("aecsx \u0301\u0301\u0327\u0323\u0302\u0307\u0344\u0345ǭǖéḝſÅΩفִּـ\u0653\u1100\u1161\u11a8가각\u0958\u09c7\u09be\u0338=\u0f73\u0f71")
	for range 50000 {
		text := make([]rune, 1+r.IntN(10))
		for i := range text {
			if text[i] = pool[r.IntN(len(pool))]; r.IntN(4) == 0 {
				text[i] = rune(r.IntN(0x3100))
			}
		}
		if got, want := compose(decompose(string(text))), norm.NFC.String(string(text)); got != want {
			t.Errorf("%+q becomes %+q, want %+q", string(text), got, want)
		}
	}
}

// TestNFCLongRuns makes sure that nothing is inserted.
func TestNFCLongRuns(t *testing.T) {
	for text, want := range map[string]string{
		"a" + strings.Repeat("\u0301", 40) + "b":      "á" + strings.Repeat("\u0301", 39) + "b",
		"x" + strings.Repeat("\u0301\u0327", 20):      "x" + strings.Repeat("\u0327", 20) + strings.Repeat("\u0301", 20),
		strings.Repeat("\u0301", 70):                  strings.Repeat("\u0301", 70),
		"e" + strings.Repeat("\u0344", 40) + "\u0327": "ȩ" + strings.Repeat("\u0308\u0301", 40),
	} {
		if got := nfc(text); got != want {
			t.Errorf("%+q becomes %+q, want %+q", text, got, want)
		}
	}
}
