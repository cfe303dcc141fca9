package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"sipregd/internal/location"
)

// snapshotTries is how often a snapshot is taken anew where the daemon changed
// the set of files under it.
const snapshotTries = 20

// Read shows each binding under a path to add, in no order, whether a daemon
// runs on it or not. It changes nothing there. The error tells where bindings
// could not be read; those that could have been shown.
func Read(path string, add func(location.Entry)) error {
	directory := filepath.Join(path, bindingsName)
	if _, err := os.Stat(directory); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there are no bindings under %s: name the daemon's sipregd.conf with --config", path)
	}
	snapshot, err := takeSnapshot(directory)
	if err != nil {
		return err
	}
	defer os.RemoveAll(snapshot)
	gone, err := (&removed{files: vfs.Default, path: filepath.Join(path, removedName)}).read(time.Now())
	if err != nil {
		return err
	}
	found, err := readSound(vfs.Default, snapshot, func(entry location.Entry) {
		if _, is := gone[entry.Binding.ID]; !is {
			add(entry)
		}
	})
	if isDamage(err) || len(found.damage) > 0 {
		return fmt.Errorf("%s is damaged, not all bindings could be read: %w",
			directory, errors.Join(err, errors.New(strings.Join(found.damage, "; "))))
	}
	return err
}

// takeSnapshot links and copies a store's files as they are between two changes
// of its manifest, and returns where.
func takeSnapshot(directory string) (string, error) {
	for range snapshotTries {
		snapshot, err := os.MkdirTemp("", "sipregd-export-")
		if err != nil {
			return "", err
		}
		before, err := manifestState(directory)
		if err == nil {
			err = copyFiles(directory, snapshot)
		}
		after, stateErr := manifestState(directory)
		switch {
		case err == nil && stateErr == nil && before == after:
			return snapshot, nil
		case err != nil && !errors.Is(err, fs.ErrNotExist): // which a file may be that was dropped meanwhile
			return "", errors.Join(err, os.RemoveAll(snapshot))
		}
		if err := os.RemoveAll(snapshot); err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("%s changes too fast to be read", directory)
}

// manifestState changes whenever the set of the store's files does.
func manifestState(directory string) (string, error) {
	manifests, err := filepath.Glob(filepath.Join(directory, "MANIFEST-*"))
	if err != nil {
		return "", err
	}
	state := ""
	for _, manifest := range manifests {
		info, err := os.Stat(manifest)
		if err != nil {
			return "", err
		}
		state += fmt.Sprintf("%s %d\n", manifest, info.Size())
	}
	return state, nil
}

// copyFiles copies what may still be written to, and links tables where it can.
func copyFiles(directory, to string) error {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		from, to := filepath.Join(directory, entry.Name()), filepath.Join(to, entry.Name())
		switch {
		case entry.Name() == "LOCK":
			continue
		case strings.HasSuffix(entry.Name(), ".sst") && os.Link(from, to) == nil:
			continue
		}
		if err := copyFile(from, to); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o600)
}
