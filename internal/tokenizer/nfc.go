package tokenizer

import (
	"slices"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// fewMarks is a number of combining characters in a row that the package norm certainly
// treats as Unicode says. It allows 30 in the decomposed text, and puts a grapheme joiner
// into longer runs, which Unicode's NFC does not.
const fewMarks = 7

// nfc returns text in Unicode's normalization form C.
func nfc(text string) string {
	marks := 0
	for at, r := range text {
		if r < utf8.RuneSelf || norm.NFC.PropertiesString(text[at:]).CCC() == 0 {
			marks = 0
			continue
		}
		marks++
		if marks > fewMarks {
			return compose(decompose(text))
		}
	}
	return norm.NFC.String(text)
}

// char is a character with its canonical combining class. The class is 0 for a character
// that is no combining mark.
type char struct {
	r     rune
	class uint8
}

// decompose returns the canonical decomposition of text, in canonical order.
func decompose(text string) []char {
	chars := make([]char, 0, len(text))
	ordered := 0 // where the last run of marks begins
	order := func() {
		slices.SortStableFunc(chars[ordered:], func(a, b char) int { return int(a.class) - int(b.class) })
	}
	for at, r := range text {
		for _, r := range norm.NFD.String(text[at : at+utf8.RuneLen(r)]) {
			c := char{r, norm.NFD.PropertiesString(string(r)).CCC()}
			if c.class == 0 {
				order()
				ordered = len(chars) + 1
			}
			chars = append(chars, c)
		}
	}
	order()
	return chars
}

// compose joins each character with the last character of class 0 before it, if Unicode has
// one character for both and no character between them blocks it.
func compose(chars []char) string {
	out := make([]rune, 0, len(chars))
	starter, last := -1, -1 // index of the last character of class 0, and the class of the character before this one
	for _, c := range chars {
		if starter >= 0 && last < int(c.class) {
			both := norm.NFC.String(string([]rune{out[starter], c.r}))
			r, size := utf8.DecodeRuneInString(both)
			if size == len(both) {
				out[starter] = r
				continue
			}
		}
		last = int(c.class)
		if c.class == 0 {
			starter, last = len(out), -1
		}
		out = append(out, c.r)
	}
	return string(out)
}
