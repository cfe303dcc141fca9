package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestDirectoryInMemoryIsNoDisk(t *testing.T) {
	const inMemory = "/dev/shm"
	if _, err := os.Stat(inMemory); err != nil && os.Getenv("CI") == "" {
		t.Skip("SKIPPED:", inMemory, "is not there")
	}
	t.Setenv("TMPDIR", inMemory)
	if directory, err := diskDirectory(); directory == inMemory || directory == "" && err == nil {
		t.Errorf("%q, %v", directory, err)
	}
}

func TestSizeOf(t *testing.T) {
	directory := t.TempDir()
	for name, size := range map[string]int{"a": 3, "below/b": 4} {
		path := filepath.Join(directory, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if size, err := sizeOf(directory); size != 7 || err != nil {
		t.Errorf("%d, %v, want 7", size, err)
	}
}
