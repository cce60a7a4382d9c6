package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// patience is how long an engine may take for one model.
const patience = 20 * time.Minute

// engine is a program that runs models.
type engine struct {
	name        string
	script      string // in the folder of Python programs
	interpreter string // that has the engine
	converter   string // of llama.cpp, which makes a GGUF file of a checkpoint; empty for engines that load checkpoints
	conversions []conversion
}

// engines lists all engines, installed or not. What the first writes is compared with what
// the others write.
func (b *bench) engines() []engine {
	llama, vllm := filepath.Join(b.installed, "llama"), filepath.Join(b.installed, "vllm")
	return []engine{
		{name: "Transformers", script: "with_transformers.py", interpreter: b.python, conversions: []conversion{forAll}},
		{name: "llama.cpp", script: "with_llama.py", interpreter: filepath.Join(llama, "bin/python"), converter: filepath.Join(llama, "source/llama.cpp"), conversions: []conversion{exact, forLlama}},
		{name: "vLLM on CPU", script: "with_vllm.py", interpreter: filepath.Join(vllm, "bin/python"), conversions: []conversion{padded}},
	}
}

// asked lists the engines to try: all, or the one that is named.
func (b *bench) asked() ([]engine, error) {
	all := b.engines()
	if b.only == "" {
		return all, nil
	}
	i := slices.IndexFunc(all, func(e engine) bool { return e.name == b.only })
	if i < 0 {
		return nil, fmt.Errorf("no engine is called %q", b.only)
	}
	return all[i : i+1], nil
}

// missing says why e cannot be tried; it is empty if e can.
func (e engine) missing() string {
	if _, err := os.Stat(e.interpreter); err != nil {
		return "not installed: " + err.Error()
	}
	return ""
}

// ask has e answer for a model, which is a folder or for llama.cpp may be a GGUF file.
func (b *bench) ask(e engine, model string) (answer, error) {
	if e.converter != "" && filepath.Ext(model) != ".gguf" {
		var err error
		if model, err = b.gguf(e, model); err != nil {
			return answer{}, err
		}
	}
	from, to := b.path("request.json"), b.path("answer.json")
	os.Remove(to)
	question, err := json.Marshal(request{Model: model, Windows: b.windows, Text: b.text, Prompt: prompt, Write: write})
	if err != nil {
		return answer{}, err
	}
	if err := os.WriteFile(from, question, 0o644); err != nil {
		return answer{}, err
	}
	if _, err := b.command(nil, e.interpreter, filepath.Join(b.scripts, e.script), from, to); err != nil {
		return answer{}, err
	}
	return readJSON[answer](to)
}

// gguf converts a checkpoint to a GGUF file in float32, and returns its path.
func (b *bench) gguf(e engine, model string) (string, error) {
	file := b.path("model.gguf")
	env := []string{"PYTHONPATH=" + filepath.Join(e.converter, "gguf-py")}
	_, err := b.command(env, b.python, filepath.Join(e.converter, "convert_hf_to_gguf.py"), "--outtype", "f32", "--outfile", file, model)
	return file, err
}

// command runs a program, which must end in time, and returns what it prints to standard
// output. All that it prints goes to a log, whose name the error has.
func (b *bench) command(env []string, name string, args ...string) ([]byte, error) {
	log, err := os.OpenFile(b.path("log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var printed bytes.Buffer
	c := exec.CommandContext(ctx, name, args...)
	c.Env, c.Stdout, c.Stderr, c.WaitDelay = append(os.Environ(), env...), io.MultiWriter(&printed, log), log, time.Minute
	fmt.Fprintf(log, "\n$ %s\n", c)
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w: see %s", filepath.Base(name), err, log.Name())
	}
	return printed.Bytes(), nil
}

// readJSON reads a file that holds a T.
func readJSON[T any](file string) (v T, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return v, err
	}
	return v, json.Unmarshal(data, &v)
}
