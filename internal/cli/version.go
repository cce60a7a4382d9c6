package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is the version of the build, as the module system knows it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
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
