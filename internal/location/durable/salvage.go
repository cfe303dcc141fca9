package durable

import (
	"errors"
	"io"
	"slices"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"

	"sipregd/internal/location"
)

// aside is the name under which a damaged store, or part of it, is kept.
func aside(directory string, now time.Time) string {
	return directory + ".damaged-" + now.UTC().Format("20060102T150405.000Z")
}

// surroundings are the errors that come from the machine around a store, rather
// than from what stands in it.
var surroundings = [...]error{
	syscall.EACCES, syscall.EPERM, syscall.EROFS, syscall.ENOSPC, syscall.EDQUOT,
	syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOTDIR, errAbandoned, errNoSpace, errVersion,
}

// isDamage tells whether a store cannot be opened or read for what stands in it.
func isDamage(err error) bool {
	for _, other := range surroundings {
		if errors.Is(err, other) {
			return false
		}
	}
	return err != nil
}

// isFailure tells whether an error came from an operation that failed, and may
// succeed the next time.
func isFailure(err error) bool {
	var number syscall.Errno
	return errors.As(err, &number) || errors.Is(err, errEnded)
}

// salvaged collects the records of a damaged store, from each of its files by
// itself: which of them belong together can be known no more.
type salvaged struct {
	contents
	fixed   map[uint64][]byte
	varying map[uint64][]byte
	removed map[uint64]bool // for good, since no ID is used again
}

// salvage shows add each binding that can be read and passes its checksum. It
// may have been refreshed since.
func salvage(files vfs.FS, directory string, add func(location.Entry)) (contents, error) {
	s := salvaged{fixed: map[uint64][]byte{}, varying: map[uint64][]byte{}, removed: map[uint64]bool{}}
	if _, err := files.List(directory); err != nil {
		return s.contents, err
	}
	for _, name := range tableNames(files, directory) {
		s.readTable(files, directory, name)
	}
	if logs, err := wal.Scan(wal.Dir{FS: files, Dirname: directory}); err != nil {
		s.damaged("logs that cannot be listed: %v", err)
	} else {
		for _, log := range logs {
			s.readLog(files, log)
		}
	}
	return s.contents, s.assemble(add)
}

func (s *salvaged) readTable(files vfs.FS, directory, name string) {
	t, err := openTable(files, files.PathJoin(directory, name))
	if err != nil {
		s.damaged("%s cannot be read: %v", name, err)
		return
	}
	defer t.Close()
	s.round = max(s.round, t.lastRound())
	for _, kind := range [...]byte{fixedKind, varyingKind} {
		for _, hole := range t.scan(kind, s.take) {
			s.damaged("%s cannot be read from binding %d to %d", name, hole.first, hole.end)
		}
	}
}

// readLog takes what stands in a log before the first damage.
func (s *salvaged) readLog(files vfs.FS, log wal.LogicalLog) {
	reader := log.OpenForRead()
	defer reader.Close()
	var data []byte
	for {
		record, at, err := reader.NextRecord()
		if err == nil {
			data, err = io.ReadAll(record)
		}
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			if text := tornEnd(files, log, at.Physical); text != "" {
				s.damaged("%s", text)
			}
			return
		}
		s.takeBatch(batchrepr.Read(data))
	}
}

func (s *salvaged) takeBatch(batch batchrepr.Reader) {
	for {
		kind, key, value, ok, err := batch.Next()
		if err != nil || !ok {
			return
		}
		s.take(rawRecord{key, value, kind != pebble.InternalKeyKindSet})
	}
}

// take keeps the latest of the versions of a record.
func (s *salvaged) take(r rawRecord) {
	id, ok := keyID(r.key)
	switch {
	case len(r.key) == 1 && r.key[0] == roundKind:
		if round, err := readRound(r.value); err == nil {
			s.round = max(s.round, round)
		}
	case !ok:
	case r.removed:
		s.removed[id] = true
	case r.key[0] == fixedKind:
		s.takeFixed(id, r.value)
	case r.key[0] == varyingKind:
		s.takeVarying(id, r)
	}
}

// takeFixed keeps all versions, one behind the other: the varying record tells
// which it goes with.
func (s *salvaged) takeFixed(id uint64, record []byte) {
	s.fixed[id] = location.AppendText(s.fixed[id], string(record))
}

func (s *salvaged) takeVarying(id uint64, r rawRecord) {
	next, err := readVarying(r.key, r.value)
	if err != nil {
		return
	}
	if known, found := s.varying[id]; found {
		if last, _ := readVarying(r.key, known); last.round >= next.round {
			return
		}
	}
	s.varying[id] = slices.Clone(r.value)
}

// assemble puts the records of each binding together.
func (s *salvaged) assemble(add func(location.Entry)) error {
	for id := range s.fixed {
		if _, found := s.varying[id]; !found && !s.removed[id] {
			s.lose(1)
		}
	}
	for id, varying := range s.varying {
		if s.removed[id] {
			continue
		}
		entry, err := s.entry(id, varying)
		switch {
		case errors.Is(err, errVersion):
			return err
		case err != nil:
			s.lose(1)
		default:
			s.bindings++
			add(entry)
		}
	}
	return nil
}

func (s *salvaged) entry(id uint64, varying []byte) (location.Entry, error) {
	err := errDamaged
	for rest := string(s.fixed[id]); rest != ""; {
		var fixed string
		fixed, rest, _ = location.CutText(rest)
		var entry location.Entry
		if entry, err = readEntry(id, []byte(fixed), varying); err == nil {
			return entry, nil
		}
	}
	return location.Entry{}, err
}
