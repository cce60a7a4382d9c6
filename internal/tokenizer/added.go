package tokenizer

import (
	"strings"
	"unicode"
)

// added holds the tokens that are cut out of a text before anything else happens to it. They
// form a tree whose edges are bytes. One map holds all edges.
type added struct {
	tokens []addedToken
	edges  map[edge]int32
	ends   map[int32]int32 // index of the token that ends at a node
	nodes  int32           // number of nodes beside the root
}

type edge struct {
	node int32
	b    byte
}

// addedToken is one such token, and says which white space around it belongs to it.
type addedToken struct {
	id             int
	lstrip, rstrip bool // the white space before it belongs to it, and that behind it
}

// longestAdded is the length in bytes of the longest token that may be added. At every place
// of a text, that many bytes may have to be compared.
const longestAdded = 512

// add adds a token whose text is content, unless content is empty or has a token already.
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
	_, taken := a.ends[node]
	if !taken && node != 0 {
		a.ends[node] = int32(len(a.tokens))
		a.tokens = append(a.tokens, token)
	}
}

// longest returns the longest token that text begins with, and its length in bytes. The
// token is nil if text begins with none.
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

// split calls found for each token in s, and text for each piece between them with the place
// where the piece begins. The calls come in the order of the text.
func (a *added) split(s string, text func(piece string, at int) error, found func(id int)) error {
	if len(a.tokens) == 0 {
		return text(s, 0)
	}
	from := 0 // everything before this place is done
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
