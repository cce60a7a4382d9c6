package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A scanner returns the length of the word that text, which is not empty,
// begins with: what the first match of a tokenizer's regular expression would
// be. Go's regexp has no lookahead, so the expressions are written out here. What
// is a letter or a number is Go's version of Unicode to say: a character newer
// than that is neither.
type scanner func(text string) int

// gpt2Pattern is the expression built into a ByteLevel pre-tokenizer.
const gpt2Pattern = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

// patterns are the expressions that are known, letter for letter.
var patterns = map[string]scanner{
	gpt2Pattern: classic{unicode.IsLetter, unicode.IsNumber, true}.scan,
	` ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+`: classic{asciiLetter, asciiDigit, false}.scan,
	// Llama 3
	`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`: modern(3).scan,
	// Qwen 2
	`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`: modern(1).scan,
}

// classic is the family of GPT-2: runs of one kind, with the space before them.
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
	switch r, _ := utf8.DecodeRuneInString(text[at:]); {
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

// modern is the family of cl100k: numbers of at most so many digits, one
// character of any kind before letters, line breaks behind punctuation.
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

// run returns the length of the characters of a kind that text begins with.
func run(text string, kind func(rune) bool) int {
	for at, r := range text {
		if !kind(r) {
			return at
		}
	}
	return len(text)
}

// spaces returns the length of the white space that text begins with, less its
// last character if something follows: that belongs to the next word. White
// space of one character stays.
func spaces(text string) int {
	n := run(text, unicode.IsSpace)
	if _, last := utf8.DecodeLastRuneInString(text[:n]); n < len(text) && last < n {
		return n - last
	}
	return n
}

// contraction returns the length of the English suffix that text begins with,
// or 0. With fold, case is ignored as Unicode has it, by which ſ is an s.
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
