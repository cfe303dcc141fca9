// Package peerstest is for tests of what goes by peers.
package peerstest

import (
	"os"
	"path/filepath"
	"testing"

	"sipregd/internal/peers"
)

// Load reads a text as peers.conf, in which there has to be no fault.
func Load(t testing.TB, text string, options peers.Options) *peers.Directory {
	t.Helper()
	path := filepath.Join(t.TempDir(), "peers.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	directory, _, err := peers.Load([]string{path}, options)
	if err != nil {
		t.Fatal(err)
	}
	return directory
}
