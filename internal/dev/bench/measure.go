package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// usage is the processor time and the time on the clock that some work takes, in seconds.
type usage struct{ cpu, wall float64 }

// duel is some work that two sides do. The function theirs is nil if the other side is not
// installed.
type duel struct {
	work, against string
	ours, theirs  func() (usage, error)
	rounds        int
}

// fight lets both sides do their work in turns, and prints a line of the table.
func (d duel) fight() error {
	var ours, theirs, clock, cpu []float64
	for range d.rounds {
		own, err := d.ours()
		if err != nil {
			return err
		}
		ours = append(ours, own.wall)
		if d.theirs == nil {
			continue
		}
		other, err := d.theirs()
		if err != nil {
			return err
		}
		theirs = append(theirs, other.wall)
		clock, cpu = append(clock, other.wall/own.wall), append(cpu, other.cpu/own.cpu)
	}
	fmt.Printf("%-52s %-30s %8.3fs", d.work, d.against, median(ours))
	if d.theirs != nil {
		fmt.Printf(" %8.3fs %6.2f %6.2f", median(theirs), median(clock), median(cpu))
	}
	fmt.Println()
	return nil
}

// peer returns f, or nil if the program that it needs is missing.
func peer(program string, f func() (usage, error)) func() (usage, error) {
	if program == "" {
		return nil
	}
	return f
}

// here measures work in this process.
func here(work func() error) (usage, error) {
	before, start := processor(), time.Now()
	err := work()
	return usage{processor() - before, time.Since(start).Seconds()}, err
}

// best does the work four times. It does not count the first time, and returns the smallest
// processor time and the smallest time on the clock of the other three. The programs that it
// is compared with do the same.
func best(work func()) (usage, error) {
	work()
	least := usage{math.Inf(1), math.Inf(1)}
	for range 3 {
		u, _ := here(func() error { work(); return nil })
		least = usage{min(least.cpu, u.cpu), min(least.wall, u.wall)}
	}
	return least, nil
}

// command measures a program as a whole.
func command(name string, args ...string) (usage, error) {
	c := exec.Command(name, args...)
	var complaint bytes.Buffer
	c.Stderr = &complaint
	start := time.Now()
	if err := c.Run(); err != nil {
		return usage{}, fmt.Errorf("%s: %w: %s", name, err, complaint.String())
	}
	wall := time.Since(start)
	return usage{(c.ProcessState.UserTime() + c.ProcessState.SystemTime()).Seconds(), wall.Seconds()}, nil
}

// told runs a program that prints the times that its work took, in seconds, and perhaps more
// numbers.
func told(env []string, name string, args ...string) (u usage, more []float64, err error) {
	c := exec.Command(name, args...)
	c.Env, c.Stderr = append(os.Environ(), env...), os.Stderr
	out, err := c.Output()
	if err != nil {
		return u, nil, fmt.Errorf("%s: %w", name, err)
	}
	var numbers []float64
	for _, word := range strings.Fields(string(out)) {
		v, err := strconv.ParseFloat(word, 64)
		if err != nil {
			return u, nil, fmt.Errorf("%s: %w", name, err)
		}
		numbers = append(numbers, v)
	}
	if len(numbers) < 2 {
		return u, nil, fmt.Errorf("%s: it prints %d numbers", name, len(numbers))
	}
	return usage{numbers[0], numbers[1]}, numbers[2:], nil
}

func median(s []float64) float64 {
	slices.Sort(s)
	return s[len(s)/2]
}
