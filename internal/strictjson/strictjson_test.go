package strictjson

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// walk reads any value with the Reader, an object through Object.
func walk(text string) error {
	r := NewReader(strings.NewReader(text))
	err := r.Object(func(string) error { return r.Skip() })
	if err == nil {
		err = r.End()
	}
	return err
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"empty":              {``, "ends too early"},
		"cut":                {`{"a":1`, "ends too early"},
		"cut in a string":    {`{"a":"b`, "ends too early"},
		"array":              {`[]`, "where an object belongs"},
		"null":               {`null`, `"null" where an object belongs`},
		"duplicate":          {`{"a":1,"a":2}`, "duplicate name"},
		"duplicate, escaped": {`{"a":1,"\u0061":2}`, "duplicate name"},
		"trailing comma":     {`{"a":1,}`, "invalid JSON"},
		"trailing value":     {`{"a":1} 2`, "where the end belongs"},
		"trailing garbage":   {`{"a":1}x`, "invalid JSON"},
		"single quotes":      {`{'a':1}`, "invalid JSON"},
		"byte order mark":    {"\ufeff{}", "invalid JSON"},
		"invalid UTF-8":      {"{\"a\xff\":1}", "invalid UTF-8"},
		"lone surrogate":     {`{"a\ud800":1}`, "invalid"},
		"control character":  {"{\"a\x01\":1}", "invalid JSON"},
		"plus sign":          {`{"a":+1}`, "invalid JSON"},
		"too deep":           {`{"a":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`, "nested deeper"},
	} {
		t.Run(name, func(t *testing.T) {
			err := walk(c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestUint(t *testing.T) {
	for text, want := range map[string]bool{
		"0": true, "7": true, "18446744073709551615": true,
		"-0": false, "-1": false, "1.0": false, "1e3": false, `"1"`: false, "18446744073709551616": false, "null": false,
	} {
		_, err := NewReader(strings.NewReader(text)).Uint()
		if got := err == nil; got != want {
			t.Errorf("Uint of %s accepted: %v, want %v (%v)", text, got, want, err)
		}
	}
}

func TestPeeking(t *testing.T) {
	r := NewReader(strings.NewReader(` [1, [2, 3], null, []] `))
	var got []string
	err := r.Array(func() error {
		switch {
		case r.AtNull():
			got = append(got, "null")
			return r.Skip()
		case r.AtArray():
			from, to, err := r.Span()
			got = append(got, fmt.Sprintf("[%d,%d)", from, to))
			return err
		default:
			n, err := r.Uint()
			got = append(got, fmt.Sprint(n))
			return err
		}
	})
	if err != nil || strings.Join(got, " ") != "1 [5,11) null [19,21)" {
		t.Errorf("got %v, %v, want 1 [5,11) null [19,21)", got, err)
	}
	if err := r.End(); err != nil {
		t.Error(err)
	}
}

// FuzzReader holds the Reader against encoding/json: what it accepts must be
// valid JSON, and an object.
func FuzzReader(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":[1,{"b":null}]}`, `{"a":1,"a":1}`, "{\"\xff\":1}", `[1]`, ` {"x":"\ud800"}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if walk(text) != nil {
			return
		}
		var v map[string]any
		if err := json.Unmarshal([]byte(text), &v); err != nil || v == nil {
			t.Errorf("accepted %q, which encoding/json refuses: %v", text, err)
		}
	})
}
