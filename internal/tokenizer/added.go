package tokenizer

import (
	"strings"
	"unicode"
)

// added are tokens that are cut out of a text before anything else happens to
// it. They are kept as a tree of bytes, its edges in one map.
type added struct {
	tokens []addedToken
	edges  map[edge]int32
	ends   map[int32]int32 // node → token
	nodes  int32
}

type edge struct {
	node int32
	b    byte
}

// addedToken is one such token, with what it takes from the text around it.
type addedToken struct {
	id             int
	lstrip, rstrip bool // the white space before it, and behind it
}

// longestAdded is the size of the longest token that is looked for: at every place of a
// text as much of it may have to be compared.
const longestAdded = 512

// add adds a token whose text is content, unless there is one.
func (a *added) add(content string, token addedToken) {
	if a.edges == nil {
		a.edges, a.ends = map[edge]int32{}, map[int32]int32{}
	}
	var node int32
	for _, b := range []byte(content) {
		next, ok := a.edges[edge{node, b}]
		if !ok {
			a.nodes++
			next = a.nodes
			a.edges[edge{node, b}] = next
		}
		node = next
	}
	if _, ok := a.ends[node]; !ok && node != 0 {
		a.ends[node] = int32(len(a.tokens))
		a.tokens = append(a.tokens, token)
	}
}

// longest returns the longest token that text begins with, and its length.
func (a *added) longest(text string) (token *addedToken, length int) {
	var node int32
	for i := range len(text) {
		next, ok := a.edges[edge{node, text[i]}]
		if !ok {
			break
		}
		node = next
		if t, ok := a.ends[node]; ok {
			token, length = &a.tokens[t], i+1
		}
	}
	return token, length
}

// split calls text for what is between the tokens in s, with where it begins,
// and found for each token, in order.
func (a *added) split(s string, text func(piece string, at int) error, found func(id int)) error {
	if len(a.tokens) == 0 {
		return text(s, 0)
	}
	from := 0 // what is before has been dealt with
	for at := 0; at < len(s); {
		token, length := a.longest(s[at:])
		if token == nil {
			at++
			continue
		}
		begin, end := at, at+length
		if token.lstrip {
			begin = from + len(strings.TrimRightFunc(s[from:begin], unicode.IsSpace))
		}
		if token.rstrip {
			end = len(s) - len(strings.TrimLeftFunc(s[end:], unicode.IsSpace))
		}
		if from < begin {
			if err := text(s[from:begin], from); err != nil {
				return err
			}
		}
		found(token.id)
		from, at = end, end
	}
	if from < len(s) {
		return text(s[from:], from)
	}
	return nil
}
