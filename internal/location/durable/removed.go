package durable

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

const (
	removedName = "removed" // the file's name, below the store's path

	// removedFor is how long a removal is remembered, and longer where the
	// binding was to live longer.
	removedFor = 24 * time.Hour

	removedSize    = 8 + 8 + 4 // bytes of an entry: ID, until when it is kept, checksum
	maxRemovedFile = 4 << 20   // bytes at which the file is written anew without what is over
)

// removed is a second record of which bindings were removed, in a file of its
// own: when another file of the store is damaged, an older state of it comes to
// light, and no phone must be found where it said it is not. Since no ID is used
// again, the file is never wrong; what is damaged of it is left out.
type removed struct {
	files vfs.FS
	path  string
	file  vfs.File // nil: not open
	size  int
	least int // bytes that it has when it is written anew
}

// read returns the IDs that are kept at now.
func (r *removed) read(now time.Time) (map[uint64]int64, error) {
	ids := map[uint64]int64{}
	file, err := r.files.Open(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return ids, nil
	}
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	for ; len(data) >= removedSize; data = data[removedSize:] {
		sum := binary.LittleEndian.Uint32(data[16:])
		until := int64(binary.LittleEndian.Uint64(data[8:]))
		if sum != crc32.Checksum(data[:16], castagnoli) {
			continue
		}
		id := binary.LittleEndian.Uint64(data)
		if ids[id] = until; until <= now.UnixNano() {
			delete(ids, id)
		}
	}
	return ids, nil
}

// rewrite writes the file anew with what is still to be kept, and opens it.
func (r *removed) rewrite(now time.Time) error {
	ids, err := r.read(now)
	if err != nil {
		return err
	}
	var data []byte
	for id, until := range ids {
		data = appendRemoved(data, id, until)
	}
	next := r.path + ".new"
	file, err := r.files.Create(next, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	err = errors.Join(err, file.Sync())
	if err == nil {
		err = r.files.Rename(next, r.path)
	}
	if err == nil {
		err = syncDirectory(r.files, r.files.PathDir(r.path))
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	err = r.close()
	r.file, r.size, r.least = file, len(data), len(data)
	return err
}

// add takes down what changes have removed, but for what has expired. Of what
// is unsure it takes down what is there after all.
func (r *removed) add(changes []location.Change, unsure map[sipuri.AOR][]uint64, now time.Time) error {
	var data []byte
	for i := range changes {
		data = appendRemovals(data, &changes[i], now)
		if _, found := unsure[changes[i].AOR]; found {
			for after := range changes[i].After.Records() {
				data = appendRemoved(data, after.ID, 0)
			}
		}
	}
	if data == nil {
		return nil
	}
	if r.file == nil || r.size > max(maxRemovedFile, 2*r.least) {
		if err := r.rewrite(now); err != nil {
			return err
		}
	}
	if _, err := r.file.Write(data); err != nil {
		r.file = nil // whatever it holds is read and written anew
		return err
	}
	r.size += len(data)
	return r.file.SyncData()
}

func appendRemovals(data []byte, change *location.Change, now time.Time) []byte {
	for before := range change.Before.Records() {
		if _, found := find(change.After, before.ID); !found && before.Expires > now.UnixNano() {
			data = appendRemoved(data, before.ID, max(before.Expires, now.Add(removedFor).UnixNano()))
		}
	}
	return data
}

func appendRemoved(data []byte, id uint64, until int64) []byte {
	start := len(data)
	data = binary.LittleEndian.AppendUint64(data, id)
	data = binary.LittleEndian.AppendUint64(data, uint64(until))
	return binary.LittleEndian.AppendUint32(data, crc32.Checksum(data[start:], castagnoli))
}

func (r *removed) close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}
