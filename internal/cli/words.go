package cli

import "github.com/mha2mla/mha2mla/internal/option"

// flagWords writes a setting as it stands on a command line: the flag of an option has its
// name.
func flagWords(s option.Setting) string {
	if s.Value == "" {
		return "--" + string(s.Option)
	}
	return "--" + string(s.Option) + " " + s.Value
}
