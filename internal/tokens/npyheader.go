package tokens

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// npyHeader is the description of the array in a NumPy file.
type npyHeader struct {
	descr   string
	fortran bool
	shape   []uint64
}

// parseNpyHeader reads the Python dictionary that describes the array. It must have the
// names descr, fortran_order and shape, each once and in any order, and no others.
func parseNpyHeader(text string) (npyHeader, error) {
	var h npyHeader
	p := &literal{rest: text}
	seen := map[string]bool{}
	p.expect("{")
	for p.err == nil && !p.accept("}") {
		name := p.quoted()
		p.expect(":")
		switch {
		case p.err != nil:
			return h, p.err
		case seen[name]:
			return h, fmt.Errorf("the NumPy header has %q twice", name)
		}
		seen[name] = true
		switch name {
		case "descr":
			if p.peek("[") {
				return h, errors.New("the NumPy array has named fields; plain integers are read")
			}
			h.descr = p.quoted()
		case "fortran_order":
			h.fortran = p.accept("True")
			if !h.fortran {
				p.expect("False")
			}
		case "shape":
			h.shape = p.tuple()
		default:
			return h, fmt.Errorf("unknown name %q in the NumPy header", name)
		}
		if !p.accept(",") {
			p.expect("}")
			break
		}
	}
	switch {
	case p.err != nil:
		return h, p.err
	case strings.TrimRight(p.rest, " \n") != "":
		return h, fmt.Errorf("%q follows the NumPy header's dictionary", clip(p.rest))
	case len(seen) < 3:
		return h, errors.New("the NumPy header lacks descr, fortran_order or shape")
	}
	return h, nil
}

// literal reads the few kinds of Python literals in a header. After the first error it reads
// nothing more.
type literal struct {
	rest string
	err  error
}

// peek reports whether word comes next.
func (p *literal) peek(word string) bool {
	p.rest = strings.TrimLeft(p.rest, " ")
	return p.err == nil && strings.HasPrefix(p.rest, word)
}

// accept reads word if it comes next.
func (p *literal) accept(word string) bool {
	ok := p.peek(word)
	if ok {
		p.rest = p.rest[len(word):]
	}
	return ok
}

// expect reads word, and notes an error if something else comes next.
func (p *literal) expect(word string) {
	if !p.accept(word) {
		p.fail(strconv.Quote(word))
	}
}

func (p *literal) fail(want string) {
	if p.err == nil {
		p.err = fmt.Errorf("%q in the NumPy header, where %s belongs", clip(p.rest), want)
	}
}

// quoted reads a string without escapes.
func (p *literal) quoted() string {
	for _, quote := range []string{"'", `"`} {
		if p.accept(quote) {
			text, rest, ok := strings.Cut(p.rest, quote)
			if !ok || strings.ContainsAny(text, "\\\n") {
				p.fail("a plain string")
			}
			p.rest = rest
			return text
		}
	}
	p.fail("a string")
	return ""
}

// tuple reads a tuple of non-negative integers.
func (p *literal) tuple() []uint64 {
	var values []uint64
	p.expect("(")
	for p.err == nil && !p.accept(")") {
		digits := len(p.rest) - len(strings.TrimLeft(p.rest, "0123456789"))
		n, err := strconv.ParseUint(p.rest[:digits], 10, 63)
		if err != nil {
			p.fail("a size")
			return nil
		}
		p.rest = p.rest[digits:]
		values = append(values, n)
		if !p.accept(",") {
			if len(values) == 1 { // (3) is a number in Python, (3,) a tuple
				p.fail(`","`)
			}
			p.expect(")")
			break
		}
	}
	return values
}

// clip shortens text for an error.
func clip(text string) string {
	const most = 40
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}
