package tokenizer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// scanners are the known patterns by name.
var scanners = map[string]scanner{}

func init() {
	for pattern, scan := range patterns {
		switch {
		case pattern == gpt2Pattern:
			scanners["gpt2"] = scan
		case strings.Contains(pattern, "A-Z"):
			scanners["ascii"] = scan
		case strings.Contains(pattern, "{1,3}"):
			scanners["llama3"] = scan
		default:
			scanners["qwen2"] = scan
		}
	}
}

// TestScan holds the scanners against what regular expressions with lookahead
// find, with \p{White_Space} for \s.
func TestScan(t *testing.T) {
	for _, c := range []struct {
		text                       string
		gpt2, ascii, llama3, qwen2 []string
	}{
		{"Hello world, it's 2024!",
			[]string{"Hello", " world", ",", " it", "'s", " 2024", "!"},
			[]string{"Hello", " world", ",", " it", "'", "s", " 2024", "!"},
			[]string{"Hello", " world", ",", " it", "'s", " ", "202", "4", "!"},
			[]string{"Hello", " world", ",", " it", "'s", " ", "2", "0", "2", "4", "!"},
		},
		{"  a  b\n\n c",
			[]string{" ", " a", " ", " b", "\n\n", " c"},
			[]string{" ", " a", " ", " b", "\n\n", " c"},
			[]string{" ", " a", " ", " b", "\n\n", " c"},
			[]string{" ", " a", " ", " b", "\n\n", " c"},
		},
		{"we'LL'Ve'sS 'x 'ſt",
			[]string{"we", "'", "LL", "'", "Ve", "'s", "S", " '", "x", " '", "ſt"},
			[]string{"we", "'", "LL", "'", "Ve", "'", "sS", " '", "x", " 'ſ", "t"},
			[]string{"we", "'LL", "'Ve", "'s", "S", " '", "x", " '", "ſt"},
			[]string{"we", "'LL", "'Ve", "'s", "S", " '", "x", " '", "ſt"},
		},
		{"12345 ٣²½Ⅷ x1",
			[]string{"12345", " ٣²½Ⅷ", " x", "1"},
			[]string{"12345", " ٣²½Ⅷ", " x", "1"},
			[]string{"123", "45", " ", "٣²½", "Ⅷ", " x", "1"},
			[]string{"1", "2", "3", "4", "5", " ", "٣", "²", "½", "Ⅷ", " x", "1"},
		},
		{"a\t\tb \r\n\r\n  c",
			[]string{"a", "\t", "\t", "b", " \r\n\r\n ", " c"},
			[]string{"a", "\t", "\t", "b", " \r\n\r\n ", " c"},
			[]string{"a", "\t", "\tb", " \r\n\r\n", " ", " c"},
			[]string{"a", "\t", "\tb", " \r\n\r\n", " ", " c"},
		},
		{"\n\n  \n d",
			[]string{"\n\n  \n", " d"},
			[]string{"\n\n  \n", " d"},
			[]string{"\n\n  \n", " d"},
			[]string{"\n\n  \n", " d"},
		},
		{"!!\n\n?? -x _y",
			[]string{"!!", "\n", "\n", "??", " -", "x", " _", "y"},
			[]string{"!!", "\n", "\n", "??", " -", "x", " _", "y"},
			[]string{"!!\n\n", "??", " -", "x", " _", "y"},
			[]string{"!!\n\n", "??", " -", "x", " _", "y"},
		},
		{"日本語 naïve e\u0301",
			[]string{"日本語", " naïve", " e", "\u0301"},
			[]string{"日本語", " na", "ï", "ve", " e", "\u0301"},
			[]string{"日本語", " naïve", " e", "\u0301"},
			[]string{"日本語", " naïve", " e", "\u0301"},
		},
		{"😀👍🏽 \u00a0x\u3000\u0085z\ufeff",
			[]string{"😀👍🏽", " ", "\u00a0", "x", "\u3000", "\u0085", "z", "\ufeff"},
			[]string{"😀👍🏽", " ", "\u00a0", "x", "\u3000", "\u0085", "z", "\ufeff"},
			[]string{"😀👍🏽", " ", "\u00a0x", "\u3000", "\u0085z", "\ufeff"},
			[]string{"😀👍🏽", " ", "\u00a0x", "\u3000", "\u0085z", "\ufeff"},
		},
		{" ",
			[]string{" "},
			[]string{" "},
			[]string{" "},
			[]string{" "},
		},
		{"'",
			[]string{"'"},
			[]string{"'"},
			[]string{"'"},
			[]string{"'"},
		},
		{"   ",
			[]string{"   "},
			[]string{"   "},
			[]string{"   "},
			[]string{"   "},
		},
		{"\u200b\u2028 \u180ea",
			[]string{"\u200b", "\u2028", " \u180e", "a"},
			[]string{"\u200b", "\u2028", " \u180e", "a"},
			[]string{"\u200b", "\u2028", " \u180e", "a"},
			[]string{"\u200b", "\u2028", " \u180e", "a"},
		},
	} {
		for name, want := range map[string][]string{"gpt2": c.gpt2, "ascii": c.ascii, "llama3": c.llama3, "qwen2": c.qwen2} {
			if got := splitBy(scanners[name])(nil, c.text, true); !slices.Equal(got, want) {
				t.Errorf("%s: %q: %q, want %q", name, c.text, got, want)
			}
		}
	}
}

// TestScanKeepsEverything cuts random texts: no word is empty, and together
// they are the text.
func TestScanKeepsEverything(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pool := []rune("  \t\r\n\u0085\u00a0\u2028\ufeff''sStTrReEvVmMlLdDſaé\u0301日1²Ⅷ.,!😀\u200d")
	for range 20000 {
		text := make([]rune, 1+r.IntN(12))
		for i := range text {
			if text[i] = pool[r.IntN(len(pool))]; r.IntN(8) == 0 {
				text[i] = rune(r.IntN(0xd800))
			}
		}
		for name, scan := range scanners {
			checkWords(t, name, string(text), splitBy(scan)(nil, string(text), true))
		}
		checkWords(t, "digits", string(text), splitBy(digits(r.IntN(2) == 0))(nil, string(text), true))
	}
}

func checkWords(t *testing.T, name, text string, words []string) {
	t.Helper()
	if slices.Contains(words, "") || strings.Join(words, "") != text {
		t.Errorf("%s: %q is cut into %q, want words that are not empty and spell the text", name, text, words)
	}
}
