package durable

import (
	"context"
	"errors"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// table reads one of Pebble's tables without the store around it.
type table struct{ *sstable.Reader }

func openTable(files vfs.FS, path string) (t table, err error) {
	file, err := files.Open(path)
	if err != nil {
		return table{}, err
	}
	readable, err := sstable.NewSimpleReadable(file)
	if err != nil {
		return table{}, errors.Join(err, file.Close())
	}
	options := pebbleOptions(files)
	options.EnsureDefaults()
	err = protect(func() (err error) {
		t.Reader, err = sstable.NewReader(context.Background(), readable, options.MakeReaderOptions())
		return err
	})
	if err != nil {
		return table{}, errors.Join(err, readable.Close())
	}
	return t, nil
}

// rawRecord is one version of a record as it stands in a table or a log. Its
// bytes are valid until the next one.
type rawRecord struct {
	key, value []byte
	removed    bool
}

// span is a range of IDs, from first up to and without end.
type span struct{ first, end uint64 }

// scan shows the records of a kind that can be read, and returns the spans in
// which something could not.
func (t table) scan(kind byte, show func(rawRecord)) (holes []span) {
	next := uint64(0)
	for {
		last, err := t.scanFrom(kind, next, show)
		if err == nil {
			return holes
		}
		first := max(next, last)
		end, more := t.nextReadable(kind, first)
		holes = append(holes, span{first, end})
		if !more {
			return holes
		}
		next = end
	}
}

// scanFrom shows the records of a kind from an ID on, up to the first that
// cannot be read, and returns the ID behind the last that was shown.
func (t table) scanFrom(kind byte, first uint64, show func(rawRecord)) (next uint64, err error) {
	next = first
	err = protect(func() error {
		records, err := t.NewIter(sstable.NoTransforms, nil, []byte{kind + 1}, sstable.AssertNoBlobHandles)
		if err != nil {
			return err
		}
		for kv := records.SeekGE(appendKey(nil, kind, first), 0); kv != nil; kv = records.Next() {
			value, _, err := kv.Value(nil)
			if err != nil {
				return errors.Join(err, records.Close())
			}
			show(rawRecord{kv.K.UserKey, value, kv.Kind() != pebble.InternalKeyKindSet})
			if id, ok := keyID(kv.K.UserKey); ok {
				next = id + 1
			}
		}
		return errors.Join(records.Error(), records.Close())
	})
	return next, err
}

// nextReadable looks for the first ID behind what cannot be read: in steps that
// double, then in halves.
func (t table) nextReadable(kind byte, first uint64) (id uint64, found bool) {
	step := uint64(1)
	for !t.readableAt(kind, first+step) {
		if step *= 2; first+step < first || step == 0 {
			return ^uint64(0), false
		}
	}
	bad, good := first+step/2, first+step
	for bad+1 < good {
		if middle := bad + (good-bad)/2; t.readableAt(kind, middle) {
			good = middle
		} else {
			bad = middle
		}
	}
	return good, true
}

func (t table) readableAt(kind byte, id uint64) bool {
	err := protect(func() error {
		records, err := t.NewIter(sstable.NoTransforms, nil, []byte{kind + 1}, sstable.AssertNoBlobHandles)
		if err != nil {
			return err
		}
		records.SeekGE(appendKey(nil, kind, id), 0)
		return errors.Join(records.Error(), records.Close())
	})
	return err == nil
}

// lastRound returns the number of the last commit in the table.
func (t table) lastRound() uint64 {
	var last uint64
	_ = protect(func() error {
		records, err := t.NewIter(sstable.NoTransforms, roundKey, []byte{roundKind + 1}, sstable.AssertNoBlobHandles)
		if err != nil {
			return err
		}
		for kv := records.First(); kv != nil; kv = records.Next() {
			value, _, err := kv.Value(nil)
			if err != nil {
				return errors.Join(err, records.Close())
			}
			if round, err := readRound(value); err == nil {
				last = max(last, round)
			}
		}
		return errors.Join(records.Error(), records.Close())
	})
	return last
}
