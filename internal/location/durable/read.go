package durable

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"

	"sipregd/internal/location"
)

// contents is what was found in a store.
type contents struct {
	round    uint64 // of the last commit
	bindings int    // that were read
	older    int    // of these, in the form of version 1
	lost     int    // that are known of and could not be read
	damage   []string
	// torn is the path of the last log, where it does not end cleanly.
	torn        string
	tornDetails []string
}

func (c *contents) damaged(format string, values ...any) {
	c.damage = append(c.damage, fmt.Sprintf(format, values...))
}

// readSound reads a store that is expected to be sound and shows each binding
// to add. It changes nothing on disk. Where contents.damage is empty, all was
// read that was ever committed, as far as can be told; else just a part.
func readSound(files vfs.FS, directory string, add func(location.Entry)) (contents, error) {
	var c contents
	db, err := openForReading(files, directory)
	if err != nil {
		return c, err
	}
	err = protect(func() error { return c.readChecked(files, directory, db, add) })
	return c, errors.Join(err, protect(db.Close))
}

// readChecked reads no binding where the files together are not all there.
func (c *contents) readChecked(files vfs.FS, directory string, db *pebble.DB, add func(location.Entry)) error {
	if err := c.readRound(db); err != nil {
		return err
	}
	if c.checkTables(files, directory, db); len(c.damage) > 0 {
		return nil
	}
	c.checkLogs(files, directory)
	return c.read(db, add)
}

// read reads all bindings.
func (c *contents) read(db *pebble.DB, add func(location.Entry)) error {
	fixed, err := db.NewIter(kindBounds(fixedKind))
	if err != nil {
		return err
	}
	defer fixed.Close()
	varying, err := db.NewIter(kindBounds(varyingKind))
	if err != nil {
		return err
	}
	defer varying.Close()
	if err := c.readPairs(fixed, varying, add); err != nil {
		return err
	}
	return errors.Join(fixed.Error(), varying.Error())
}

func kindBounds(kind byte) *pebble.IterOptions {
	return &pebble.IterOptions{LowerBound: []byte{kind}, UpperBound: []byte{kind + 1}}
}

func (c *contents) readRound(db *pebble.DB) error {
	record, closer, err := db.Get(roundKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer closer.Close()
	c.round, err = readRound(record)
	return err
}

// readPairs goes through the fixed and the varying records side by side. Each
// has to have its counterpart.
func (c *contents) readPairs(fixed, varying *pebble.Iterator, add func(location.Entry)) error {
	moreFixed, moreVarying := fixed.First(), varying.First()
	for moreFixed || moreVarying {
		id, ok := keyID(fixed.Key())
		other, otherOK := keyID(varying.Key())
		switch {
		case moreFixed && !ok || moreVarying && !otherOK:
			return errDamaged
		case !moreVarying || moreFixed && id < other:
			c.lose(1)
			moreFixed = fixed.Next()
			continue
		case !moreFixed || other < id:
			c.lose(1)
			moreVarying = varying.Next()
			continue
		}
		entry, err := readEntry(id, fixed.Value(), varying.Value())
		switch {
		case errors.Is(err, errVersion):
			return err
		case err != nil:
			c.lose(1)
		default:
			c.bindings++
			if isOlder(fixed.Value()) {
				c.older++
			}
			add(entry)
		}
		moreFixed, moreVarying = fixed.Next(), varying.Next()
	}
	return nil
}

func (c *contents) lose(bindings int) {
	if c.lost == 0 {
		c.damaged("records that do not pass their checksum")
	}
	c.lost += bindings
}

// checkTables looks for tables that the store does not know of and that hold
// what it does not have. They are there when its manifest has lost its end.
func (c *contents) checkTables(files vfs.FS, directory string, db *pebble.DB) {
	known := map[string]bool{}
	levels, err := db.SSTables()
	if err != nil {
		c.damaged("tables that cannot be listed: %v", err)
		return
	}
	for _, level := range levels {
		for i := range level {
			known[fmt.Sprintf("%06d%s", uint64(level[i].BackingSSTNum), tableSuffix)] = true
		}
	}
	for _, name := range tableNames(files, directory) {
		if !known[name] && lastRoundOf(files, files.PathJoin(directory, name)) > c.round {
			c.damaged("%s holds later commits than the manifest knows of", name)
		}
	}
}

const tableSuffix = ".sst"

func tableNames(files vfs.FS, directory string) []string {
	return namesWith(files, directory, tableSuffix)
}

func namesWith(files vfs.FS, directory, suffix string) []string {
	var names []string
	all, _ := files.List(directory)
	for _, name := range all {
		if strings.HasSuffix(name, suffix) {
			names = append(names, name)
		}
	}
	return names
}

// lastRoundOf returns the number of the last commit in a table, 0 where it
// cannot be read, as one that was never finished.
func lastRoundOf(files vfs.FS, path string) uint64 {
	t, err := openTable(files, path)
	if err != nil {
		return 0
	}
	defer t.Close()
	return t.lastRound()
}

// checkLogs looks at what stands behind the last commit of the last log.
func (c *contents) checkLogs(files vfs.FS, directory string) {
	logs, err := wal.Scan(wal.Dir{FS: files, Dirname: directory})
	if err != nil || len(logs) == 0 {
		return
	}
	last := logs[len(logs)-1]
	offset, closed := endOfLog(last)
	if closed {
		return
	}
	if text := tornEnd(files, last, offset); text != "" {
		_, c.torn = last.SegmentLocation(last.NumSegments() - 1)
		c.tornDetails = append(c.tornDetails, text)
	}
}

// tornEnd describes the bytes of a log behind its sound part: zeros as a rule,
// and then it returns nothing. A power cut may leave the beginning of a commit
// there, which nobody was told of; so may damage.
func tornEnd(files vfs.FS, log wal.LogicalLog, offset int64) string {
	_, path := log.SegmentLocation(log.NumSegments() - 1)
	if n := bytesBehind(files, path, offset); n > 0 {
		return fmt.Sprintf("%s ends in %d bytes that do not pass their checksum", files.PathBase(path), n)
	}
	return ""
}

// endOfLog returns where the sound part of a log ends. closed tells
// whether nothing was to follow.
func endOfLog(log wal.LogicalLog) (offset int64, closed bool) {
	reader := log.OpenForRead()
	defer reader.Close()
	for {
		_, at, err := reader.NextRecord()
		switch {
		case errors.Is(err, io.EOF):
			return at.Physical, true
		case err != nil:
			return at.Physical, false
		}
	}
}

// bytesBehind counts the bytes behind offset, up to the last that is not zero.
func bytesBehind(files vfs.FS, path string, offset int64) int {
	file, err := files.Open(path)
	if err != nil {
		return 0
	}
	defer file.Close()
	rest, err := io.ReadAll(io.NewSectionReader(file, offset, 1<<40))
	if err != nil {
		return 0
	}
	return len(strings.TrimRight(string(rest), "\x00"))
}
