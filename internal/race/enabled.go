// Package race tells tests whether the race detector slows them down.
package race

import (
	"runtime/debug"
	"slices"
)

// Enabled tells whether this program was built with the race detector.
func Enabled() bool {
	info, _ := debug.ReadBuildInfo()
	return slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
