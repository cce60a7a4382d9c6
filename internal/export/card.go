package export

import (
	"io"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
)

// CardFile is the name of the model card.
const CardFile = "README.md"

// hubCache is how the cache of the Hugging Face hub names the folder of a
// revision.
var hubCache = regexp.MustCompile(`models--([^/\\]+?)--([^/\\]+)[/\\]snapshots[/\\][^/\\]+[/\\]?$`)

// BaseModel is the name of the source: that of the hub in its cache, else of the
// file or folder.
func BaseModel(path string) string {
	if whole, err := filepath.Abs(path); err == nil {
		if m := hubCache.FindStringSubmatch(whole); m != nil {
			return m[1] + "/" + m[2]
		}
		path = whole
	}
	return filepath.Base(path)
}

// carried matches the members of a card that hold for the converted model, too,
// with values that need no quotes.
var carried = regexp.MustCompile(`^(license|license_name|license_link|pipeline_tag): *[A-Za-z0-9](?:[A-Za-z0-9._:/-]*[A-Za-z0-9._/-])?$`)

// mostCard bounds how much of the source's card is looked at.
const mostCard = 64 << 10

// CardLines lists the lines of the source's card, if it has one, that the new
// one takes over.
func CardLines(src *checkpoint.Source) []string {
	if inside, err := src.Holds(CardFile); err != nil || !inside {
		return nil
	}
	f, _, err := checkpoint.OpenRegular(filepath.Join(src.Dir, CardFile))
	if err != nil {
		return nil // what cannot be read has nothing to say
	}
	defer f.Close()
	text, _ := io.ReadAll(io.LimitReader(f, mostCard))
	lines := strings.Split(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n")
	if lines[0] != "---" {
		return nil
	}
	var found []string
	for _, line := range lines[1:] {
		if line == "---" {
			return found
		}
		if carried.MatchString(line) {
			found = append(found, line)
		}
	}
	return nil // it has no end
}
