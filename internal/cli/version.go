package cli

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
)

// unversioned is the version of a build that has none.
const unversioned = "(devel)"

// version is the version of the build, as the module system knows it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return unversioned
	}
	return info.Main.Version
}

// build tells this program from others of the same version, because what is not committed has
// no version of its own: a digest of the program, or nothing if the version says it all, or if
// the program cannot be read.
func build(ctx context.Context) string {
	if v := version(); v != unversioned && !strings.HasSuffix(v, "+dirty") {
		return ""
	}
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	d, err := checkpoint.DigestFile(ctx, path)
	if err != nil {
		return ""
	}
	return " " + d.SHA
}

// versionTemplate is what --version prints: the version, the revision that was
// built, if it is known, and by what and for what.
func versionTemplate() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return fmt.Sprintf("mha2mla %s%s, %s %s/%s\n", version(), revision(info.Settings), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// revision is the revision of a build with these settings, with a mark if what
// was built is not what was committed; empty if it is not known.
func revision(settings []debug.BuildSetting) string {
	values := make(map[string]string)
	for _, s := range settings {
		values[s.Key] = s.Value
	}
	text := values["vcs.revision"]
	if text == "" {
		return ""
	}
	if values["vcs.modified"] == "true" {
		text += "+dirty"
	}
	return " (revision " + text + ")"
}
