package report

import (
	"fmt"
	"math"
)

// Change writes a saving as a change in percent. The saving is a share of the whole: for 0.5
// it writes −50.00 %.
func Change(saving float64) string {
	if saving < 0 {
		return fmt.Sprintf("+%.2f %%", -100*saving)
	}
	return fmt.Sprintf("−%.2f %%", 100*saving)
}

// Blocks draws each share of a whole as one character, on a logarithmic scale. It draws a
// full block for a tenth and more, and a dot for less than a thousandth.
func Blocks(shares []float64) string {
	const full, least = 0.1, 0.001
	levels := []rune("▁▂▃▄▅▆▇█")
	line := make([]rune, len(shares))
	for i, share := range shares {
		line[i] = '·'
		if share >= least {
			level := math.Log(share/least) / math.Log(full/least) * float64(len(levels)-1)
			line[i] = levels[min(len(levels)-1, int(level))]
		}
	}
	return string(line)
}

// Marks draws each truth value as one character.
func Marks(values []bool) string {
	line := make([]rune, len(values))
	for i, v := range values {
		line[i] = '·'
		if v {
			line[i] = '●'
		}
	}
	return string(line)
}

// Size writes a number of bytes the way disks are sold.
func Size(bytes int64) string {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	v, unit := float64(bytes), 0
	for v >= 1000 && unit < len(units)-1 {
		v /= 1000
		unit++
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", bytes)
	}
	return fmt.Sprintf("%.2f %s", v, units[unit])
}
