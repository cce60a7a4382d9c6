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

// free returns the bytes of memory that Linux calls available in the files below root; 0 if
// it does not say.
func free(root string) int64 {
	return least(root, "MemAvailable:", func(limit, used int64) int64 { return max(1, limit-used) })
}

// total returns the bytes of memory that Linux has in all, by the files below root, used or
// not; 0 if it does not say.
func total(root string) int64 {
	return least(root, "MemTotal:", func(limit, _ int64) int64 { return limit })
}

// least returns the smallest of two kinds of numbers: the one that the system states under
// the given name, and what left makes of the limit and the use of each control group.
func least(root, name string, left func(limit, used int64) int64) int64 {
	least := said(filepath.Join(root, "proc/meminfo"), name)
	for _, group := range groups(filepath.Join(root, "proc/self/cgroup")) {
		// The limit of a group also holds for all groups below it.
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

// said returns the number of bytes in the line of the given name; 0 if there is none.
func said(meminfo, name string) int64 {
	text, err := os.ReadFile(meminfo)
	if err != nil {
		return 0
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) > 1 && fields[0] == name {
			kilobytes, _ := strconv.ParseInt(fields[1], 10, 64) // 0 if it is no number
			return 1024 * kilobytes
		}
	}
	return 0
}

// groups lists the control groups that limit the memory of the process: the one of version
// 2, and the one of version 1 for memory.
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

// room returns what left makes of the limit and the use of a control group; 0 if the group
// has no limit. The system counts cached content of files as used, but gives that memory
// back at once when somebody needs it, so room does not count it.
func room(dir string, left func(limit, used int64) int64) int64 {
	for _, names := range [][2]string{{"memory.max", "memory.current"}, {"memory.limit_in_bytes", "memory.usage_in_bytes"}} {
		limit, err := number(filepath.Join(dir, names[0]))
		if err != nil {
			continue // there is no such file, or it holds the word max
		}
		used, _ := number(filepath.Join(dir, names[1]))
		return left(limit, max(0, used-cached(filepath.Join(dir, "memory.stat"))))
	}
	return 0
}

// cached returns how many bytes of a control group's use are cached content of files that
// nobody maps. In version 1, the lines that begin with total also count the groups below.
func cached(stat string) int64 {
	text, err := os.ReadFile(stat)
	if err != nil {
		return 0
	}
	said := make(map[string]int64)
	for _, line := range strings.Split(string(text), "\n") {
		if name, value, ok := strings.Cut(line, " "); ok {
			said[name], _ = strconv.ParseInt(value, 10, 64) // 0 if it is no number
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
