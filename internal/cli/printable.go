package cli

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// printable returns text with escapes for what a terminal would obey instead of
// showing: control characters, marks that turn the direction of writing, and bytes
// that are no text. Names come from strangers, who may give them any length: what is
// longer than a path can be is cut.
func printable(text string) string {
	const most = 5000
	var b strings.Builder
	for i, r := range text {
		if b.Len() > most {
			b.WriteString("…")
			break
		}
		switch _, size := utf8.DecodeRuneInString(text[i:]); {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}
