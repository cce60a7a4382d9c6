package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
)

// bench says where the other programs are. A comparison with a program that is not there is
// left out.
type bench struct {
	lapack  string // the C program
	python  string // a Python interpreter that has torch
	scripts string // folder of the Python programs
	program string // mha2mla itself
	rounds  int
}

// parts lists the parts of the table in their order.
var parts = []struct {
	name string
	run  func(*bench) error
}{
	{"products", (*bench).products},
	{"top", (*bench).top},
	{"factor", (*bench).factor},
	{"layer", (*bench).layer},
	{"model", (*bench).model},
	{"heal", (*bench).heal},
	{"sample", (*bench).sample},
	{"convert", (*bench).convert},
	{"copy", (*bench).carry},
}

func main() {
	b := &bench{}
	flag.StringVar(&b.lapack, "lapack", "", "program built from c/lapack.c")
	flag.StringVar(&b.python, "python", "", "Python interpreter that has torch")
	flag.StringVar(&b.scripts, "scripts", "internal/dev/bench/py", "folder of the Python programs")
	flag.StringVar(&b.program, "program", "", "mha2mla")
	flag.IntVar(&b.rounds, "rounds", 5, "turns of each side, of which the medians count")
	flag.Parse()
	if _, err := os.Stat(b.lapack); err != nil {
		missing("OpenBLAS", &b.lapack)
	}
	if exec.Command(b.python, "-c", "import torch").Run() != nil {
		missing("torch", &b.python)
	}
	fmt.Printf("%d processors; × how much faster, by the clock and by processor time\n\n", runtime.GOMAXPROCS(0))
	fmt.Printf("%-52s %-30s %9s %9s %6s %6s\n", "work", "against", "ours", "theirs", "clock", "cpu")
	for _, p := range parts {
		if flag.NArg() > 0 && !slices.Contains(flag.Args(), p.name) {
			continue
		}
		if err := p.run(b); err != nil {
			fmt.Fprintf(os.Stderr, "bench: %s: %v\n", p.name, err)
			os.Exit(1)
		}
	}
}

// missing tells that a program is not there, and forgets its path.
func missing(what string, program *string) {
	fmt.Fprintf(os.Stderr, "bench: no %s to compare with\n", what)
	*program = ""
}
