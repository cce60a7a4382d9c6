package cli

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestNoNetwork: no package of the program can speak to anybody. Two modules it uses
// import the standard library's network for what the program does not use of them:
// pflag for flags that are addresses, progressbar for a bar that is served.
func TestNoNetwork(t *testing.T) {
	text, err := exec.Command("go", "list", "-deps", "-f", `{{if not .Standard}}{{.ImportPath}} {{join .Imports " "}}{{end}}`, "../../cmd/mha2mla").Output()
	if err != nil {
		t.Skip(err) // no Go at hand
	}
	known := []string{"github.com/spf13/pflag", "github.com/schollz/progressbar/v3"}
	packages := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(packages) < 30 {
		t.Fatalf("only %d packages", len(packages))
	}
	for _, line := range packages {
		fields := strings.Fields(line)
		for _, imported := range fields[1:] {
			network := slices.Contains([]string{"net", "syscall/js", "crypto/tls", "log/syslog"}, imported) || strings.HasPrefix(imported, "net/") && imported != "net/url" && imported != "net/netip"
			if network && !slices.Contains(known, fields[0]) {
				t.Errorf("%s imports %s", fields[0], imported)
			}
		}
	}
}
