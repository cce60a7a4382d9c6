package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/tokenizer"
	"github.com/mha2mla/mha2mla/internal/verify"
)

// sizes are those of all conversions: half of what SmolLM2-135M caches. The base is the one
// that the search finds for them, and is named to spare every conversion a search.
var sizes = []string{"--kv-lora-rank", "128", "--rope-dims", "64", "--rope-theta", "100000"}

// conversion is a way to convert the model. All have the same sizes and differ in the form
// alone.
type conversion struct {
	name  string
	flags []string
}

// These are the conversions: what all engines load but for sizes and llama.cpp, what llama.cpp
// loads, too, what it alone loads, and what vLLM has kernels for on processors.
var (
	forAll   = conversion{"--target all", []string{"--target", "all"}}
	exact    = conversion{"--q-lora exact", []string{"--target", "all", "--q-lora", "exact"}}
	forLlama = conversion{"--target llama.cpp", []string{"--target", "llama.cpp"}}
	padded   = conversion{"--pad-to-kernel=vllm-cpu", []string{"--pad-to-kernel=vllm-cpu", "--allow-larger-cache"}}
)

// measured is what verify says of a conversion and its source.
type measured struct {
	dir    string // the conversion, which may be a file
	source said   // of the source
	own    said   // of the conversion
}

// said is what verify says of a model.
type said struct {
	logprobs [][]float64 // of each window, in nats, of every token but the first
	cache    float64     // numbers that a token takes in all layers
}

// report is the part that is needed here of what verify prints.
type report struct {
	Layers []json.RawMessage `json:"layers"`
	Cache  struct {
		Source    float64 `json:"source_floats_per_token_per_layer"`
		Converted float64 `json:"converted_floats_per_token_per_layer"`
	} `json:"cache"`
}

// cut reads the text, and cuts its beginning into windows with the tokenizer of the model.
func (b *bench) cut(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	t, err := tokenizer.Open(checkpoint.Folder(b.model))
	if err != nil {
		return err
	}
	tokens, err := t.Encode(string(text))
	if err != nil {
		return err
	}
	if len(tokens) < windows*window {
		return fmt.Errorf("%s has %d tokens of %d", file, len(tokens), windows*window)
	}
	b.text = string(text)
	for w := range windows {
		b.windows = append(b.windows, tokens[w*window:(w+1)*window])
	}
	ids, err := json.Marshal(tokens[:windows*window])
	if err != nil {
		return err
	}
	return os.WriteFile(b.path("tokens.json"), ids, 0o644)
}

// observe makes the statistics that all conversions have in common, unless they are there.
func (b *bench) observe(text string) error {
	if _, err := os.Stat(b.path("stats")); err == nil {
		return nil
	}
	_, err := b.command(nil, b.program, "calibrate", "--text", text, "--max-tokens", strconv.Itoa(calibration), "--window", strconv.Itoa(window), b.model, b.path("stats"))
	return err
}

// measure converts the model, unless that is done, and has verify tell of it.
func (b *bench) measure(c conversion) (*measured, error) {
	if m := b.done[c.name]; m != nil {
		return m, nil
	}
	m := &measured{dir: b.path("converted" + strconv.Itoa(len(b.done)))}
	args := slices.Concat([]string{"convert", "--force", "--stats", b.path("stats")}, sizes, c.flags, []string{b.model, m.dir})
	if _, err := b.command(nil, b.program, args...); err != nil {
		return nil, err
	}
	if err := b.verify(m, b.model); err != nil {
		return nil, err
	}
	b.done[c.name] = m
	return m, nil
}

// verify has verify tell of a conversion of a source.
func (b *bench) verify(m *measured, source string) error {
	lines := b.path("logprobs")
	printed, err := b.command(nil, b.program, "verify", "--json", "--force", "--tokens", b.path("tokens.json"), "--window", strconv.Itoa(window), "--logprobs", lines, source, m.dir)
	if err != nil {
		return err
	}
	return m.read(printed, lines)
}

// read takes the report of verify, and the lines that it has written to a file.
func (m *measured) read(printed []byte, lines string) error {
	var r report
	if err := json.Unmarshal(printed, &r); err != nil {
		return err
	}
	layers := float64(len(r.Layers))
	m.source = said{make([][]float64, windows), r.Cache.Source * layers}
	m.own = said{make([][]float64, windows), r.Cache.Converted * layers}
	f, err := os.Open(lines)
	if err != nil {
		return err
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		var p verify.LogProb
		if err := json.Unmarshal(s.Bytes(), &p); err != nil {
			return err
		}
		m.source.logprobs[p.Window] = append(m.source.logprobs[p.Window], p.Source)
		m.own.logprobs[p.Window] = append(m.own.logprobs[p.Window], p.Converted)
	}
	return s.Err()
}

// path returns the path of a file in the folder for work.
func (b *bench) path(name string) string { return filepath.Join(b.work, name) }
