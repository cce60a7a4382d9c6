package family

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/mha2mla/mha2mla/internal/strictjson"
)

// Config is the content of a config.json: its members in their order, each with
// its text as written, so that what nobody changes stays as it is.
type Config struct {
	keys []string
	text map[string][]byte
}

// ParseConfig parses a configuration. The constants NaN, Infinity and
// -Infinity, which Python writes, are accepted wherever a value may stand; a
// key that stands twice is not.
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

// Has reports whether key is there with a value other than null.
func (c *Config) Has(key string) bool {
	text, ok := c.text[key]
	return ok && string(text) != "null"
}

// Text is the value of key as it is written; false if the key is not there.
func (c *Config) Text(key string) ([]byte, bool) {
	text, ok := c.text[key]
	return text, ok
}

// decode unmarshals the value of key into a value of kind; it reports whether
// there is one. Null counts as none.
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

// Set gives key a value, in place if it is there and at the end if not. A
// float64 is written as Python writes a float, never as an integer.
func (c *Config) Set(key string, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		panic("family: " + err.Error()) // values of the program's own making
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

// Clone returns an independent copy.
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

// fields reads typed values of a configuration and keeps the first thing that
// is wrong with them.
type fields struct {
	*Config
	err error
}

// complain keeps err if it is the first.
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
func (f *fields) boolean(key string) bool {
	var v bool
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

// check adds a complaint unless ok.
func (f *fields) check(ok bool, format string, args ...any) {
	if !ok {
		f.complain(fmt.Errorf(format, args...))
	}
}
