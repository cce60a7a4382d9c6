package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A scanner returns the length in bytes of the word that text begins with. The text is not
// empty. The word is the first match of a tokenizer's regular expression. These expressions
// look ahead, which Go's regexp cannot, so they are written out as code here. Go's version of
// Unicode decides what a letter or a number is; a newer character is neither.
type scanner func(text string) int

// gpt2Pattern is the expression built into a ByteLevel pre-tokenizer.
const gpt2Pattern = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

// patterns holds a scanner for each expression that is known. Files must have it letter for
// letter.
var patterns = map[string]scanner{
	gpt2Pattern: classic{unicode.IsLetter, unicode.IsNumber, true}.scan,
	` ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+`: classic{asciiLetter, asciiDigit, false}.scan,
	// Llama 3
	`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`: modern(3).scan,
	// Qwen 2
	`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`: modern(1).scan,
}

// classic scans like the expressions of GPT-2: a word is a run of characters of one kind,
// with a space before it.
type classic struct {
	letter, number func(rune) bool
	contractions   bool
}

func (c classic) scan(text string) int {
	if c.contractions {
		if n := contraction(text, false); n > 0 {
			return n
		}
	}
	at := 0
	if text[0] == ' ' && len(text) > 1 {
		at = 1
	}
	r, _ := utf8.DecodeRuneInString(text[at:])
	switch {
	case c.letter(r):
		return at + run(text[at:], c.letter)
	case c.number(r):
		return at + run(text[at:], c.number)
	case !unicode.IsSpace(r):
		return at + run(text[at:], func(r rune) bool { return !unicode.IsSpace(r) && !c.letter(r) && !c.number(r) })
	default:
		return spaces(text)
	}
}

// modern scans like the expression of cl100k. A number has at most as many digits as the
// value of modern says. A run of letters may have one character of another kind before it,
// and line breaks behind punctuation belong to it.
type modern int

func (digits modern) scan(text string) int {
	if n := contraction(text, true); n > 0 {
		return n
	}
	first, size := utf8.DecodeRuneInString(text)
	switch {
	case unicode.IsLetter(first):
		return run(text, unicode.IsLetter)
	case unicode.IsNumber(first):
		n := size
		for i := 1; i < int(digits); i++ {
			r, size := utf8.DecodeRuneInString(text[n:])
			if !unicode.IsNumber(r) {
				break
			}
			n += size
		}
		return n
	case !lineBreak(first):
		if n := run(text[size:], unicode.IsLetter); n > 0 {
			return size + n
		}
	}
	at := 0
	if first == ' ' {
		at = 1
	}
	if n := run(text[at:], mark); n > 0 {
		at += n
		return at + run(text[at:], lineBreak)
	}
	if n := strings.LastIndexAny(text[:run(text, unicode.IsSpace)], "\r\n"); n >= 0 {
		return n + 1
	}
	return spaces(text)
}

// run returns the length in bytes of the run of characters of a kind that text begins with.
func run(text string, kind func(rune) bool) int {
	for at, r := range text {
		if !kind(r) {
			return at
		}
	}
	return len(text)
}

// spaces returns the length in bytes of the white space that text begins with. If something
// follows, the last character of the white space belongs to the next word and does not
// count, unless it is the only one.
func spaces(text string) int {
	n := run(text, unicode.IsSpace)
	_, last := utf8.DecodeLastRuneInString(text[:n])
	if n < len(text) && last < n {
		return n - last
	}
	return n
}

// contraction returns the length in bytes of the English suffix, such as 's, that text
// begins with; 0 if there is none. With fold it ignores case as Unicode does, which takes ſ
// for an s.
func contraction(text string, fold bool) int {
	if text[0] != '\'' {
		return 0
	}
	for _, suffix := range [...]string{"s", "t", "re", "ve", "m", "ll", "d"} {
		if strings.HasPrefix(text[1:], suffix) {
			return 1 + len(suffix)
		}
		if fold && len(text) > len(suffix) && strings.EqualFold(text[1:1+len(suffix)], suffix) {
			return 1 + len(suffix)
		}
	}
	if fold && strings.HasPrefix(text[1:], "ſ") {
		return 1 + len("ſ")
	}
	return 0
}

func mark(r rune) bool {
	return !unicode.IsSpace(r) && !unicode.IsLetter(r) && !unicode.IsNumber(r)
}

func lineBreak(r rune) bool   { return r == '\r' || r == '\n' }
func asciiLetter(r rune) bool { return 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' }
func asciiDigit(r rune) bool  { return '0' <= r && r <= '9' }
