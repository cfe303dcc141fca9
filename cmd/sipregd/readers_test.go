package main

import (
	"os"
	"path/filepath"
	"testing"

	"sipregd/internal/config"
)

// What everybody on the machine can read is no secret.
func TestFilesThatEverybodyReads(t *testing.T) {
	path, key := filepath.Join(t.TempDir(), "sipregd.conf"), filepath.Join(t.TempDir(), "key.pem")
	for _, file := range []string{path, key} {
		writeFile(t, file, "")
	}
	withToken, withKey := config.Default(), config.Default()
	withToken.Admin.Token, withKey.Listen.PrivateKey = "0123456789abcdef", key
	for _, test := range []struct {
		name string
		mode os.FileMode
		c    config.Config
		want int
	}{
		{"a token", 0o644, withToken, 1},
		{"a token for the group", 0o640, withToken, 0},
		{"a private key", 0o644, withKey, 1},
		{"a private key for the group", 0o640, withKey, 0},
		{"nothing secret", 0o644, config.Default(), 0},
	} {
		for _, file := range []string{path, key} {
			if err := os.Chmod(file, test.mode); err != nil {
				t.Fatal(err)
			}
		}
		if got := readerWarnings(path, &test.c); len(got) != test.want {
			t.Errorf("%s: %q", test.name, got)
		}
	}
}
