package durable

import (
	"errors"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// beaconName is the file's name, below the store's path.
const beaconName = "round"

// beacon holds the number of the last commit in a file of its own, written after
// the commit and not synced: it is never ahead of what is on disk. A store that
// is behind it has lost its last log.
type beacon struct {
	files vfs.FS
	path  string
	file  vfs.File // nil: not open
	text  []byte
}

// read returns the number, 0 where there is none.
func (b *beacon) read() (uint64, error) {
	file, err := b.files.Open(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	record, err := io.ReadAll(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return 0, err
	}
	round, err := readRound(record)
	if err != nil { // half written: it says nothing
		return 0, nil
	}
	return round, nil
}

func (b *beacon) write(round uint64) (err error) {
	if b.file == nil {
		if b.file, err = b.files.Create(b.path, vfs.WriteCategoryUnspecified); err != nil {
			return err
		}
	}
	b.text = appendRound(b.text[:0], round)
	_, err = b.file.WriteAt(b.text, 0)
	return err
}

func (b *beacon) close() error {
	if b.file == nil {
		return nil
	}
	return b.file.Close()
}
