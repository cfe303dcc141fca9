package durable

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// Refreshes come in no order. The fewer records a memtable holds, the faster
// each finds its place there; and the more tables are compacted at once, the
// fewer records are written again, since nobody has to look through all of them
// but the next start.
const (
	memTableSize   = 2 << 20 // bytes; each has a log of about that length on disk
	memTables      = 8       // at most; then writers wait until one is flushed
	tablesAtOnce   = 32      // that lie one above the other when they are compacted
	maxTablesAhead = 3 * tablesAtOnce
	cacheSize      = 1 << 20 // bytes; nothing is read after the start but by compactions
	maxOpenFiles   = 100

	// flushPause is how long Pebble is held up after a flush or compaction has
	// failed: by itself it tries again at once, and a line of log each time.
	flushPause = 200 * time.Millisecond
)

var (
	errAbandoned = errors.New("this instance of Pebble was given up")
	errEnded     = errors.New("the store gave up")
)

// engine is one open instance of Pebble. It may break at any time.
type engine struct {
	db        *pebble.DB
	abandoned *atomic.Bool // of its disk
	broken    chan error   // likewise; gets what Pebble cannot get over
	trouble   func(error)  // is told of what it can
}

// openEngine opens or creates the Pebble store of a disk.
func openEngine(d *disk) (*engine, error) {
	e := &engine{abandoned: &d.abandoned, broken: d.broken, trouble: d.observer.Trouble}
	options := pebbleOptions(e.gate(d.files))
	options.Logger = logger{e}
	options.EventListener = &pebble.EventListener{
		BackgroundError: e.backgroundError,
		DataCorruption:  func(info pebble.DataCorruptionInfo) { e.backgroundError(info.Details) },
	}
	err := protect(func() (err error) {
		e.db, err = pebble.Open(d.directory(), options)
		return err
	})
	return e, err
}

// openForReading opens a Pebble store that stays as it is.
func openForReading(files vfs.FS, directory string) (*pebble.DB, error) {
	options := pebbleOptions(unlocked{files})
	options.ReadOnly = true
	options.Logger = quiet{}
	options.EventListener = &pebble.EventListener{
		BackgroundError: func(error) {},
		DataCorruption:  func(pebble.DataCorruptionInfo) {},
	}
	var db *pebble.DB
	err := protect(func() (err error) {
		db, err = pebble.Open(directory, options)
		return err
	})
	return db, err
}

func pebbleOptions(files vfs.FS) *pebble.Options {
	o := &pebble.Options{
		FS:                          files,
		FormatMajorVersion:          pebble.FormatNewest,
		MemTableSize:                memTableSize,
		MemTableStopWritesThreshold: memTables,
		L0CompactionThreshold:       tablesAtOnce,
		L0StopWritesThreshold:       maxTablesAhead,
		CacheSize:                   cacheSize,
		MaxOpenFiles:                maxOpenFiles,
	}
	o.Experimental.SpanPolicyFunc = oneKind
	return o
}

// oneKind keeps records of different kinds apart: since IDs ascend, a table of
// new bindings alone has nothing in common with the one before, and need not be
// merged with it.
func oneKind(first []byte) (policy pebble.SpanPolicy, end []byte, err error) {
	if len(first) == 0 || first[0] > varyingKind {
		return pebble.SpanPolicy{}, nil, nil
	}
	return pebble.SpanPolicy{}, []byte{first[0] + 1}, nil
}

// apply commits a batch with fsync. Pebble may end the goroutine that calls it.
func (e *engine) apply(batch *pebble.Batch) error { return e.db.Apply(batch, pebble.Sync) }

// close closes the store. To flush it first makes the next start faster, and
// never ends on a disk that fails.
func (e *engine) close(flush bool) error {
	return protect(func() error {
		if flush {
			return errors.Join(e.db.Flush(), e.db.Close())
		}
		return e.db.Close()
	})
}

// abandon ends the instance where that still can be done.
func (e *engine) abandon() {
	go func() { _ = protect(e.db.Close) }()
}

// gate lets the instance reach the files until its disk is abandoned.
func (e *engine) gate(files vfs.FS) vfs.FS {
	return gated{errorfs.Wrap(files, errorfs.InjectorFunc(func(errorfs.Op) error {
		if e.abandoned.Load() {
			return errAbandoned
		}
		return nil
	}))}
}

// gated is a file system behind a gate. A log is never written over an older
// one, so that what stands behind the end of a log tells whether it is damaged.
type gated struct{ *errorfs.FS }

// Lock has nothing to do: the disk holds a lock on the directory above, and an
// instance that was abandoned may never give its own back.
func (gated) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

func (g gated) ReuseForWrite(last, next string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := g.Remove(last); err != nil {
		return nil, err
	}
	return g.Create(next, category)
}

// Create makes a file that Pebble writes. What it writes in the background makes
// way for phones.
func (g gated) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := g.FS.Create(name, category)
	if err != nil || !strings.HasSuffix(name, tableSuffix) {
		return file, err
	}
	return yielding{file}, nil
}

// yielding is a table that is being written. To sort and compress one keeps a
// processor busy for tens of milliseconds, before the scheduler would step in.
type yielding struct{ vfs.File }

func (y yielding) Write(block []byte) (int, error) {
	runtime.Gosched()
	return y.File.Write(block)
}

// unlocked is a file system in which nothing needs to be locked to be read.
type unlocked struct{ vfs.FS }

func (unlocked) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

func (e *engine) backgroundError(err error) {
	if !e.abandoned.Load() {
		e.trouble(err)
	}
	time.Sleep(flushPause)
}

// breakDown takes down what Pebble cannot get over.
func (e *engine) breakDown(err error) {
	select {
	case e.broken <- err:
	default: // it is known already
	}
}

// logger is what Pebble logs to. Its own would end the process on Fatalf.
type logger struct{ *engine }

func (l logger) Infof(string, ...any) {}

func (l logger) Errorf(format string, values ...any) {
	if !l.abandoned.Load() {
		l.trouble(fmt.Errorf(format, values...))
	}
}

// Fatalf ends the goroutine, where Pebble expects it to end the process.
func (l logger) Fatalf(format string, values ...any) {
	l.breakDown(fmt.Errorf(format, values...))
	runtime.Goexit()
}

// quiet is the logger for what is only read.
type quiet struct{}

func (quiet) Infof(string, ...any)                {}
func (quiet) Errorf(string, ...any)               {}
func (quiet) Fatalf(format string, values ...any) { panic(fmt.Errorf(format, values...)) }

// protect runs what calls Pebble in a goroutine that Pebble may end, and
// returns its error, or what it panicked with.
func protect(call func() error) error { return <-protected(call) }

// protected does the same and does not wait.
func protected(call func() error) <-chan error {
	result := make(chan error, 1)
	go func() {
		err := errEnded
		defer func() {
			if cause := recover(); cause != nil {
				err = fmt.Errorf("the store panicked: %v", cause)
			}
			result <- err
		}()
		err = call()
	}()
	return result
}
