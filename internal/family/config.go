package family

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/mha2mla/mha2mla/internal/strictjson"
)

// Config is the content of a config.json. It keeps the members in their order and each
// value as the text that was written, so that a member which nobody changes stays the
// same byte for byte.
type Config struct {
	keys []string
	text map[string][]byte
}

// ParseConfig parses a configuration. It accepts the constants NaN, Infinity and
// -Infinity, which Python writes, wherever a value may stand. It returns an error for
// what is not JSON otherwise and for a key that occurs twice.
func ParseConfig(text []byte) (*Config, error) {
	in := strictjson.NewReader(bytes.NewReader(hideConstants(text)))
	c := &Config{text: make(map[string][]byte)}
	err := in.Object(func(key string) error {
		from, to, err := in.Span()
		if err != nil {
			return err
		}
		c.keys = append(c.keys, key)
		c.text[key] = text[from:to]
		return nil
	})
	if err != nil {
		return nil, err
	}
	return c, in.End()
}

// ValidJSON reports whether text is JSON, the constants of ParseConfig included.
func ValidJSON(text []byte) bool { return json.Valid(hideConstants(text)) }

// hideConstants replaces the constants that are not JSON by numbers of the same
// length.
func hideConstants(text []byte) []byte {
	plain := slices.Clone(text)
	inString := false
	for i := 0; i < len(plain); i++ {
		switch {
		case inString && plain[i] == '\\':
			i++
		case plain[i] == '"':
			inString = !inString
		case inString:
		case bytes.HasPrefix(plain[i:], []byte("NaN")):
			copy(plain[i:], "0.0")
		case bytes.HasPrefix(plain[i:], []byte("Infinity")):
			copy(plain[i:], "0.000000")
		}
	}
	return plain
}

// Has reports whether the configuration has key, with a value other than null.
func (c *Config) Has(key string) bool {
	text, ok := c.text[key]
	return ok && string(text) != "null"
}

// Text returns the value of key as it is written, and false if the key is not there.
func (c *Config) Text(key string) ([]byte, bool) {
	text, ok := c.text[key]
	return text, ok
}

// decode unmarshals the value of key and reports whether there is one; null counts as
// none. The kind, such as "an integer", is for the error if the value is another.
func (c *Config) decode(key, kind string, into any) (bool, error) {
	if !c.Has(key) {
		return false, nil
	}
	if err := json.Unmarshal(c.text[key], into); err != nil {
		return false, fmt.Errorf("%q is %s and must be %s", key, excerpt(c.text[key]), kind)
	}
	return true, nil
}

// excerpt cuts a value to a length that fits a message.
func excerpt(text []byte) string {
	const most = 40
	if len(text) > most {
		return fmt.Sprintf("%q…", text[:most])
	}
	return fmt.Sprintf("%q", text)
}

// Set gives key a value: in its place if the key is there, at the end if not. It writes a
// float64 as Python writes a float, never as an integer.
func (c *Config) Set(key string, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		panic("family: " + err.Error()) // the program made the value, so this is its mistake
	}
	if v, ok := value.(float64); ok {
		text = strconv.AppendFloat(nil, v, 'g', -1, 64)
		if !bytes.ContainsAny(text, ".e") {
			text = append(text, ".0"...)
		}
	}
	if _, ok := c.text[key]; !ok {
		c.keys = append(c.keys, key)
	}
	c.text[key] = text
}

// Constants lists the keys whose values hold constants that are not JSON.
func (c *Config) Constants() []string {
	return slices.DeleteFunc(slices.Clone(c.keys), func(key string) bool { return json.Valid(c.text[key]) })
}

// Delete removes keys.
func (c *Config) Delete(keys ...string) {
	for _, key := range keys {
		delete(c.text, key)
	}
	c.keys = slices.DeleteFunc(c.keys, func(key string) bool { return slices.Contains(keys, key) })
}

// Clone returns a copy whose members can be set without changing those of c.
func (c *Config) Clone() *Config {
	other := &Config{slices.Clone(c.keys), make(map[string][]byte)}
	for key, text := range c.text {
		other.text[key] = text
	}
	return other
}

// Bytes returns the configuration as the text of a file.
func (c *Config) Bytes() []byte {
	var b bytes.Buffer
	b.WriteString("{")
	for i, key := range c.keys {
		if i > 0 {
			b.WriteString(",")
		}
		name, _ := json.Marshal(key) // a string always marshals
		fmt.Fprintf(&b, "\n  %s: %s", name, c.text[key])
	}
	b.WriteString("\n}\n")
	return b.Bytes()
}

// fields reads typed values of a configuration. It keeps the first error in err, so that
// callers can read many members and look for an error once.
type fields struct {
	*Config
	err error
}

// complain keeps err if it is the first error.
func (f *fields) complain(err error) {
	if f.err == nil {
		f.err = err
	}
}

// integer returns the positive integer at key, or fallback if there is none;
// a fallback of 0 makes the key required.
func (f *fields) integer(key string, fallback int) int {
	const most = 1 << 31 // products of two sizes stay within an int
	var n int
	ok, err := f.decode(key, "an integer", &n)
	switch {
	case err != nil:
		f.complain(err)
	case !ok && fallback == 0:
		f.complain(fmt.Errorf("%q is missing", key))
	case !ok:
		return fallback
	case n <= 0 || n >= most:
		f.complain(fmt.Errorf("%q is %d and must be positive and below 2^31", key, n))
	}
	return n
}

// whole returns the integer at key, which may be 0, or fallback if there is none. Who calls it
// checks its bounds.
func (f *fields) whole(key string, fallback int) int {
	n := fallback
	if _, err := f.decode(key, "an integer", &n); err != nil {
		f.complain(err)
	}
	return n
}

// number returns the positive number at key, or fallback if there is none.
func (f *fields) number(key string, fallback float64) float64 {
	var v float64
	ok, err := f.decode(key, "a number", &v)
	switch {
	case err != nil:
		f.complain(err)
	case !ok:
		return fallback
	case v <= 0:
		f.complain(fmt.Errorf("%q is %v and must be positive", key, v))
	}
	return v
}

// boolean returns the truth value at key, false if there is none.
func (f *fields) boolean(key string) bool { return f.truth(key, false) }

// truth returns the truth value at key, or fallback if there is none.
func (f *fields) truth(key string, fallback bool) bool {
	v := fallback
	if _, err := f.decode(key, "true or false", &v); err != nil {
		f.complain(err)
	}
	return v
}

// word returns the string at key, or fallback.
func (f *fields) word(key, fallback string) string {
	v := fallback
	if _, err := f.decode(key, "a string", &v); err != nil {
		f.complain(err)
	}
	return v
}

// same has what an older or another key says count as the member of the usual name, if that
// is not there.
func (f *fields) same(usual, other string) {
	if text, ok := f.text[other]; ok && !f.Has(usual) {
		f.Set(usual, json.RawMessage(text))
	}
}

// check keeps the error that the format makes unless ok is true.
func (f *fields) check(ok bool, format string, args ...any) {
	if !ok {
		f.complain(fmt.Errorf(format, args...))
	}
}
