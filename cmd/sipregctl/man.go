package main

import (
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// newManCommand writes the help of all commands as man pages, for make.
func newManCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "man DIRECTORY",
		Short:  "Write man pages",
		Long:   "Writes a man page for each command to a directory.",
		Args:   cobra.ExactArgs(1),
		Hidden: true,
		RunE: func(command *cobra.Command, arguments []string) error {
			root := command.Root()
			root.DisableAutoGenTag = true
			root.InitDefaultCompletionCmd()
			keepLists(root)
			return doc.GenManTreeFromOpts(root, doc.GenManTreeOptions{
				Header:           &doc.GenManHeader{Section: "1", Source: "sipregd", Manual: "sipregd", Date: commitDate()},
				Path:             arguments[0],
				CommandSeparator: "-",
			})
		},
	}
}

// keepLists makes what stands indented in a help text stand so in its man page:
// that is made of it as Markdown, which takes four blanks for it.
func keepLists(command *cobra.Command) {
	command.Long = strings.ReplaceAll(command.Long, "\n  ", "\n    ")
	for _, child := range command.Commands() {
		keepLists(child)
	}
}

// commitDate is that of the source, so that one source makes one man page; nil
// where it is not known.
func commitDate() *time.Time {
	info, _ := debug.ReadBuildInfo()
	for _, setting := range info.Settings {
		if setting.Key == "vcs.time" {
			if date, err := time.Parse(time.RFC3339, setting.Value); err == nil {
				return &date
			}
		}
	}
	return nil
}
