package main

import (
	"flag"
	"fmt"
	"os"
)

// These are the amounts of tokens. The first window has the prompt.
const (
	windows     = 8
	window      = 512
	prompt      = 256  // after which an engine writes
	write       = 48   // that it writes
	calibration = 8192 // that conversions are calibrated on
)

// bench says where everything is, and remembers what has been made.
type bench struct {
	program   string // mha2mla
	model     string // folder of the source
	packed    string // GGUF file that the source is of; empty: it is not there
	python    string // Python interpreter that has Transformers and gguf
	installed string // folder of the other engines
	scripts   string // folder of the Python programs
	work      string // folder for what is made on the way
	only      string // engine to try alone; empty for all

	text    string  // what the engines read
	windows [][]int // its beginning as tokens
	done    map[string]*measured
	written map[string][]int // by the first engine that wrote, after the source and after a conversion
}

func main() {
	b := &bench{done: map[string]*measured{}, written: map[string][]int{}}
	flag.StringVar(&b.program, "program", "", "mha2mla")
	flag.StringVar(&b.model, "model", "", "folder of SmolLM2-135M-Instruct")
	flag.StringVar(&b.packed, "gguf", "", "GGUF file of the same model, whose conversion to another is tried, too")
	flag.StringVar(&b.python, "python", "", "Python interpreter that has Transformers and gguf")
	flag.StringVar(&b.installed, "installed", "", "folder of the other engines, as the script install leaves it")
	flag.StringVar(&b.scripts, "scripts", "internal/dev/engines/py", "folder of the Python programs")
	text := flag.String("text", "testdata/real/wikitext2-test.txt", "what the engines read")
	calibrate := flag.String("calibrate", "testdata/real/wikitext2-valid.txt", "text to calibrate on")
	flag.StringVar(&b.work, "work", "", "folder for what is made on the way; statistics that are there are used again")
	flag.StringVar(&b.only, "only", "", "engine to try alone")
	flag.Parse()
	failed, err := b.run(*text, *calibrate)
	switch {
	case err != nil:
		fmt.Fprintf(os.Stderr, "engines: %v\n", err)
		os.Exit(1)
	case failed > 0:
		fmt.Fprintf(os.Stderr, "engines: %d of the lines are past a bound, or without an answer\n", failed)
		os.Exit(1)
	}
}

// run tries every engine, prints the table, and returns how many of its lines have failed.
func (b *bench) run(text, calibrate string) (failed int, err error) {
	engines, err := b.asked()
	if err != nil {
		return 0, err
	}
	if err := os.MkdirAll(b.work, 0o755); err != nil {
		return 0, err
	}
	if err := b.cut(text); err != nil {
		return 0, err
	}
	if err := b.observe(calibrate); err != nil {
		return 0, err
	}
	fmt.Printf("bounds: %g nats a token on average, %g for the worst, %d of %d tokens written alike, %g %% of the cache\n\n", meanBound, worstBound, leastAlike, write, 100*cacheBound)
	fmt.Printf(form, "engine", "model", "cache", "perplexity", "verify", "mean", "worst", "alike", "")
	for _, e := range engines {
		if why := e.missing(); why != "" {
			fmt.Printf("%-24s left out: %s\n", e.name, why)
			continue
		}
		failed += b.try(e)
		if e.converter != "" {
			failed += b.tryGGUF(e)
		}
	}
	return failed, nil
}

// form is that of a line of the table.
const form = "%-24s %-24s %9s %10s %10s %9s %9s %6s %s\n"

// try prints the lines of an engine, and returns how many of them have failed.
func (b *bench) try(e engine) (failed int) {
	for i, c := range e.conversions {
		m, err := b.measure(c)
		if err != nil {
			fmt.Printf("%-24s %-24s %v\n", e.name, c.name, err)
			failed++
			continue
		}
		if i == 0 && !b.line(e, "source", b.model, m.source) {
			failed++
		}
		if !b.line(e, c.name, m.dir, m.own) {
			failed++
		}
	}
	return failed
}

// line has an engine run a model, prints the line about it, and reports whether all is within
// the bounds.
func (b *bench) line(e engine, name, model string, s said) bool {
	a, err := b.ask(e, model)
	var g gap
	if err == nil {
		g, err = distance(s.logprobs, a.LogProbs)
	}
	if err != nil {
		fmt.Printf("%-24s %-24s %v\n", e.name, name, err)
		return false
	}
	which := "conversion"
	if name == "source" || name == packedName { // nobody else runs it
		which = name
	}
	if b.written[which] == nil {
		b.written[which] = a.Written
	}
	alike := agreement(b.written[which], a.Written)
	ok := g.within() && alike >= leastAlike && cachesAs(a, s.cache)
	verdict := "ok"
	if !ok {
		verdict = "FAILED"
	}
	ours, theirs := g.perplexities()
	fmt.Printf(form, e.name+" "+a.Version, name, fmt.Sprintf("%.0f", a.Cache), fmt.Sprintf("%.4f", theirs), fmt.Sprintf("%.4f", ours),
		fmt.Sprintf("%.6f", g.mean), fmt.Sprintf("%.6f", g.worst), fmt.Sprint(alike), verdict)
	return ok
}
