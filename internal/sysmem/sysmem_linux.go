package sysmem

import (
	"bufio"
	"bytes"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// free reads what Linux says below root; 0 if it says nothing.
func free(root string) int64 {
	return least(root, "MemAvailable:", func(limit, used int64) int64 { return max(1, limit-used) })
}

// total reads likewise what there is, used or not.
func total(root string) int64 {
	return least(root, "MemTotal:", func(limit, _ int64) int64 { return limit })
}

// least returns the least of what the system says under the given name and of what is
// left of the limits of control groups.
func least(root, name string, left func(limit, used int64) int64) int64 {
	least := said(filepath.Join(root, "proc/meminfo"), name)
	for _, group := range groups(filepath.Join(root, "proc/self/cgroup")) {
		// a limit holds for all groups below
		for dir := group; ; dir = path.Dir(dir) {
			if n := room(filepath.Join(root, "sys/fs/cgroup", dir), left); n > 0 && (least == 0 || n < least) {
				least = n
			}
			if dir == "/" || dir == "." {
				break
			}
		}
	}
	return least
}

// said returns what a line of the given name says.
func said(meminfo, name string) int64 {
	text, err := os.ReadFile(meminfo)
	if err != nil {
		return 0
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) > 1 && fields[0] == name {
			kilobytes, _ := strconv.ParseInt(fields[1], 10, 64) // 0 if it is none
			return 1024 * kilobytes
		}
	}
	return 0
}

// groups lists the control groups that bound the memory of the process: that of
// version 2, and of version 1 the one for memory.
func groups(file string) []string {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	var paths []string
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		fields := strings.SplitN(line, ":", 3)
		switch {
		case len(fields) != 3:
		case fields[1] == "":
			paths = append(paths, fields[2])
		case fields[1] == "memory":
			paths = append(paths, path.Join("/memory", fields[2]))
		}
	}
	return paths
}

// room returns what is left to a control group, 0 if it has no limit. What its files
// have in the cache counts as used, and is given back at once when it is asked for.
func room(dir string, left func(limit, used int64) int64) int64 {
	for _, names := range [][2]string{{"memory.max", "memory.current"}, {"memory.limit_in_bytes", "memory.usage_in_bytes"}} {
		limit, err := number(filepath.Join(dir, names[0]))
		if err != nil {
			continue // no such file, or the word max
		}
		used, _ := number(filepath.Join(dir, names[1]))
		return left(limit, max(0, used-cached(filepath.Join(dir, "memory.stat"))))
	}
	return 0
}

// cached is how much of what a control group uses is content of files, on the disk or on
// the way to it, that is mapped by nobody. In version 1, those of the groups below count in the
// lines that begin with total.
func cached(stat string) int64 {
	text, err := os.ReadFile(stat)
	if err != nil {
		return 0
	}
	said := make(map[string]int64)
	for _, line := range strings.Split(string(text), "\n") {
		if name, value, ok := strings.Cut(line, " "); ok {
			said[name], _ = strconv.ParseInt(value, 10, 64) // 0 if it is none
		}
	}
	of := func(names ...string) int64 {
		for _, name := range names {
			if v, there := said[name]; there {
				return v
			}
		}
		return 0
	}
	files := of("total_inactive_file", "inactive_file") + of("total_active_file", "active_file")
	return max(0, files-of("total_mapped_file", "file_mapped", "mapped_file"))
}

func number(file string) (int64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
}
