package sysmem

import (
	"os"
	"path/filepath"
	"testing"
)

// TestFree lays out what Linux would say.
func TestFree(t *testing.T) {
	const meminfo = "MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:    800 kB\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"nothing":  {nil, 0},
		"no group": {map[string]string{"proc/meminfo": meminfo}, 800 << 10},
		"no limit": {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, 800 << 10},
		"version 2": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/memory.max": "500000\n", "sys/fs/cgroup/a/memory.current": "100000\n",
		}, 400000},
		"version 1": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "3:cpu:/x\n2:memory:/x\n",
			"sys/fs/cgroup/memory/x/memory.limit_in_bytes": "300000\n", "sys/fs/cgroup/memory/x/memory.usage_in_bytes": "1\n",
		}, 299999},
		"version 2, cache": {map[string]string{
			"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1000\n", "sys/fs/cgroup/memory.current": "990\n",
			"sys/fs/cgroup/memory.stat": "anon 90\nfile 900\nfile_mapped 100\nfile_dirty 7\nshmem 200\ninactive_file 500\nactive_file 200\n",
		}, 610},
		"version 1, cache": {map[string]string{
			"proc/self/cgroup": "2:memory:/x\n", "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "1000\n", "sys/fs/cgroup/memory/x/memory.usage_in_bytes": "990\n",
			"sys/fs/cgroup/memory/x/memory.stat": "inactive_file 1\nactive_file 1\ntotal_inactive_file 500\ntotal_active_file 200\ntotal_mapped_file 100\n",
		}, 610},
		"exhausted": {map[string]string{
			"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "5\n", "sys/fs/cgroup/memory.current": "9\n",
		}, 1},
		"garbage": {map[string]string{"proc/meminfo": "MemAvailable: much\n", "proc/self/cgroup": "what\n"}, 0},
	} {
		root := t.TempDir()
		for file, text := range c.files {
			path := filepath.Join(root, file)
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if got := free(root); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	if Free() <= 0 {
		t.Error("no memory at all")
	}
}
