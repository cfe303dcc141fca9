package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

var errNoDisk = errors.New("all directories for temporary files are in memory: let TMPDIR name one on a disk")

// diskDirectory returns a directory for temporary files where fsync means a
// disk.
func diskDirectory() (string, error) {
	for _, directory := range []string{os.TempDir(), "/var/tmp"} {
		var of unix.Statfs_t
		err := unix.Statfs(directory, &of)
		if err == nil && of.Type != unix.TMPFS_MAGIC && of.Type != unix.RAMFS_MAGIC {
			return directory, nil
		}
	}
	return "", errNoDisk
}

// syncTimes appends 4 KB and has it written to the disk, again and again: the
// floor for what has to be durable.
func syncTimes(directory string, count int) ([]time.Duration, error) {
	file, err := os.CreateTemp(directory, "sipregload-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	times := make([]time.Duration, count)
	block := make([]byte, 4096)
	for i := range times {
		began := time.Now()
		if _, err := file.Write(block); err != nil {
			return nil, err
		}
		if err := unix.Fdatasync(int(file.Fd())); err != nil {
			return nil, err
		}
		times[i] = time.Since(began)
	}
	slices.Sort(times)
	return times, nil
}

// sizeOf returns the bytes of all files below a directory.
func sizeOf(directory string) (size int64, err error) {
	err = filepath.WalkDir(directory, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	return size, err
}
