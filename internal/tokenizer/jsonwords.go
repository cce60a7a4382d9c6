package tokenizer

// parseByteLevel reads the pre-tokenizer of GPT-2.
func parseByteLevel(c component) (step, error) {
	f := struct {
		Type           string `json:"type"`
		AddPrefixSpace bool   `json:"add_prefix_space"`
		TrimOffsets    bool   `json:"trim_offsets"`
		UseRegex       bool   `json:"use_regex"`
	}{AddPrefixSpace: true, UseRegex: true}
	if err := decode(c.where, c.value, &f); err != nil {
		return nil, err
	}
	if !f.UseRegex {
		return byteLevel(f.AddPrefixSpace, nil), nil
	}
	return byteLevel(f.AddPrefixSpace, patterns[gpt2Pattern]), nil
}

// parseSplit reads a pre-tokenizer that cuts by a regular expression.
func parseSplit(c component) (step, error) {
	var f struct {
		Type    string `json:"type"`
		Pattern struct {
			String *string `json:"String"`
			Regex  *string `json:"Regex"`
		} `json:"pattern"`
		Behavior string `json:"behavior"`
		Invert   bool   `json:"invert"`
	}
	if err := decode(c.where, c.value, &f); err != nil {
		return nil, err
	}
	switch {
	case f.Pattern.String != nil:
		return nil, unsupported(c.where, "splitting at %q", *f.Pattern.String)
	case f.Pattern.Regex == nil:
		return nil, unsupported(c.where, "a split without a pattern")
	case patterns[*f.Pattern.Regex] == nil:
		return nil, unsupported(c.where, "the regular expression %q", *f.Pattern.Regex)
	// The known expressions match every character. To keep each match apart is
	// therefore the same as to remove what does not match.
	case f.Behavior != "Isolated" && (f.Behavior != "Removed" || !f.Invert):
		return nil, unsupported(c.where, "behavior %q", f.Behavior)
	}
	return splitBy(patterns[*f.Pattern.Regex]), nil
}

// parseMetaspace reads the pre-tokenizer that stands in for SentencePiece.
func parseMetaspace(c component) (step, error) {
	f := struct {
		Type           string  `json:"type"`
		Replacement    string  `json:"replacement"`
		Written        *string `json:"str_rep"` // in old files, the replacement again
		Prepend        *string `json:"prepend_scheme"`
		AddPrefixSpace *bool   `json:"add_prefix_space"` // in old files
		Split          bool    `json:"split"`
	}{Split: true}
	if err := decode(c.where, c.value, &f); err != nil {
		return nil, err
	}
	scheme := "always"
	switch {
	case f.Prepend != nil:
		scheme = *f.Prepend
	case f.AddPrefixSpace != nil && !*f.AddPrefixSpace:
		scheme = "never"
	}
	schemes := map[string]func(first bool) bool{
		"always": func(bool) bool { return true },
		"first":  func(first bool) bool { return first },
		"never":  func(bool) bool { return false },
	}
	switch {
	case f.Replacement != space || f.Written != nil && *f.Written != space:
		return nil, unsupported(c.where, "the replacement %q", f.Replacement)
	case schemes[scheme] == nil:
		return nil, unsupported(c.where, "prepend_scheme %q", scheme)
	case f.AddPrefixSpace != nil && !*f.AddPrefixSpace && scheme != "never":
		return nil, unsupported(c.where, "prepend_scheme %q without add_prefix_space", scheme)
	}
	return metaspace(schemes[scheme], f.Split), nil
}
