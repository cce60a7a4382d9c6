package cli

import (
	"github.com/spf13/cobra"

	"github.com/mha2mla/mha2mla/internal/calib"
	"github.com/mha2mla/mha2mla/internal/family"
)

// statsFlags are the flags of commands that use statistics.
type statsFlags struct {
	stats []string
	textFlags
}

// sharedFlags adds the flag that names statistics.
func (o *statsFlags) sharedFlags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&o.stats, "stats", nil, "statistics from calibrate, more than once to add them up (`FILE`)")
}

// open opens the statistics of m that the flags name; nil if they name none. The function
// returned closes them.
func (o *statsFlags) open(m *family.Model) (stats calib.Reader, done func(), err error) {
	merged, err := openStats(m, o.stats)
	if err != nil || len(merged) == 0 {
		return nil, func() {}, err
	}
	return merged, func() { closeStats(merged) }, nil
}

// openStats opens statistics of m; none is no statistics.
func openStats(m *family.Model, paths []string) (calib.Merged, error) {
	var files []*calib.File
	for _, path := range paths {
		f, err := calib.Open(path)
		if err != nil {
			closeStats(files)
			return nil, err
		}
		files = append(files, f)
	}
	merged, err := calib.Merge(m, files)
	if err == nil {
		err = enoughMemory(baseMemory + merged.Memory())
	}
	if err != nil {
		closeStats(files)
	}
	return merged, err
}

// closeStats closes statistics that were read.
func closeStats(files []*calib.File) {
	for _, f := range files {
		f.Close() //nolint:errcheck // nothing was written to it
	}
}
