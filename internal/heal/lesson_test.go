package heal

import (
	"slices"
	"testing"

	"github.com/mha2mla/mha2mla/internal/tokens"
)

// TestSpans: windows to learn from are cut, up to their last token, and those held out are not.
func TestSpans(t *testing.T) {
	all, train, judge := spans(tokens.Windows{make([]int, 5), make([]int, 9), make([]int, 4)}, 4)
	want := []span{{0, 0, 4}, {0, 4, 1}, {1, 0, 9}, {2, 0, 4}}
	if !slices.Equal(all, want) || !slices.Equal(train, []int{0, 1, 3}) || !slices.Equal(judge, []int{2}) {
		t.Errorf("cut into %v, of which %v to learn from and %v held out", all, train, judge)
	}
}
