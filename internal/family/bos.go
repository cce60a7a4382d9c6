package family

import "encoding/json"

// BOS returns the id of the token with which the configuration begins every sequence, and
// false if it names none of the vocabulary.
func (m *Model) BOS() (id int, ok bool) {
	text, ok := m.Config.Text("bos_token_id")
	if !ok || json.Unmarshal(text, &id) != nil || id < 0 || id >= m.Vocab || string(text) == "null" {
		return 0, false
	}
	return id, true
}
