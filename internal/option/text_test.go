package option_test

import (
	"testing"

	"github.com/mha2mla/mha2mla/internal/option"
)

// TestText: a text is put into the words that it is read in, those inside it, too.
func TestText(t *testing.T) {
	inner := option.Textf("lower %v", option.RopeDims)
	text := option.Textf("%v is above %d: %v, or leave %v out", option.Cache.Is(24), 16, inner, option.RopeThreshold.Is(0.25))
	if got, want := text.String(), "cache 24 is above 16: lower rope-dims, or leave rope-threshold 0.25 out"; got != want {
		t.Errorf("in plain words: %q, want %q", got, want)
	}
	loud := func(s option.Setting) string { return "<" + s.String() + ">" }
	if got, want := text.In(loud), "<cache 24> is above 16: lower <rope-dims>, or leave <rope-threshold 0.25> out"; got != want {
		t.Errorf("in other words: %q, want %q", got, want)
	}
	if got := option.Plain("100 %"); got.In(loud) != "100 %" || got.Empty() {
		t.Errorf("a text without options became %q", got)
	}
	if empty := (option.Text{}); !empty.Empty() || !option.Plain("").Empty() {
		t.Error("a text that says nothing says something")
	}
}
