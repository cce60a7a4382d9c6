package option

import "fmt"

// Text is a sentence, or a part of one, in which options and settings are values.
type Text struct {
	format string
	args   []any
}

// Textf makes a text as fmt.Sprintf would. It keeps arguments that are an Option, a Setting
// or a Text as values, and In puts them into words.
func Textf(format string, args ...any) Text { return Text{format, args} }

// Plain makes a text of plain words, in which there are no options.
func Plain(text string) Text { return Text{"%s", []any{text}} }

// In writes the text with every option in the given words.
func (t Text) In(words Words) string {
	args := make([]any, len(t.args))
	for i, arg := range t.args {
		switch arg := arg.(type) {
		case Option:
			args[i] = words(arg.Alone())
		case Setting:
			args[i] = words(arg)
		case Text:
			args[i] = arg.In(words)
		default:
			args[i] = arg
		}
	}
	return fmt.Sprintf(t.format, args...)
}

// String writes the text in plain words.
func (t Text) String() string { return t.In(Setting.String) }

// Empty reports whether the text says nothing.
func (t Text) Empty() bool { return t.String() == "" }
