package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

const (
	// maxReserve is the free space below which nothing is written any more, in
	// bytes. On a small disk it is a tenth of it.
	maxReserve = 64 << 20

	progressStep = 100_000 // bindings read between two calls of Observer.Reading

	bindingsName = "bindings" // the directory of Pebble's files, below the store's path
)

// ErrInUse says that another process has the store open.
var ErrInUse = errors.New("another sipregd uses it: stop that one, or give this one a [location] path of its own")

var errNoSpace = errors.New("the disk is almost full")

// disk is where bindings are written to: a directory, and what is open in it.
// One goroutine uses it at a time.
type disk struct {
	files    vfs.FS
	path     string
	observer Observer
	unwanted func(location.Entry) bool
	broken   chan error

	lock      *pebble.Lock
	removed   *removed
	beacon    *beacon
	loaded    *atomic.Bool // what it holds is in memory
	engine    atomic.Pointer[engine]
	round     *atomic.Uint64 // of the last commit
	encoder   encoder
	damage    *Damage     // what was found when it was read
	abandoned atomic.Bool // nothing of it gets through to the files any more
}

func newDisk(o Options) *disk {
	return &disk{
		files: o.Files, path: o.Path, observer: o.Observer, unwanted: o.Unwanted,
		broken: make(chan error, 1), round: &atomic.Uint64{}, loaded: &atomic.Bool{},
		removed: &removed{files: o.Files, path: o.Files.PathJoin(o.Path, removedName)},
		beacon:  &beacon{files: o.Files, path: o.Files.PathJoin(o.Path, beaconName)},
	}
}

func (d *disk) directory() string { return d.files.PathJoin(d.path, bindingsName) }

// takeLock keeps other processes out.
func (d *disk) takeLock() error {
	if d.lock != nil {
		return nil
	}
	if err := d.makeDirectory(); err != nil {
		return err
	}
	lock, err := pebble.LockDirectory(d.path, d.files)
	var onFile *fs.PathError
	switch {
	case err == nil:
		d.lock = lock
	case !errors.As(err, &onFile): // the file is there and locked
		return fmt.Errorf("%s: %w", d.path, ErrInUse)
	}
	return err
}

// makeDirectory makes the store's directory and those above it, so that they
// outlast a power cut.
func (d *disk) makeDirectory() error {
	if _, err := d.files.Stat(d.path); err == nil {
		return nil
	}
	if err := d.files.MkdirAll(d.path, 0o750); err != nil {
		return fmt.Errorf("%s: %w: make it and let the account that sipregd runs under write there", d.path, err)
	}
	for at := d.path; at != d.files.PathDir(at); {
		at = d.files.PathDir(at)
		if err := syncDirectory(d.files, at); err != nil {
			return err
		}
	}
	return nil
}

func syncDirectory(files vfs.FS, path string) error {
	directory, err := files.OpenDir(path)
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}

// load reads the bindings on disk into memory, once. What can be read of a
// damaged store is served, and still to be written to a new one.
func (d *disk) load(memory *location.Memory) error {
	if d.loaded.Load() {
		return nil
	}
	began := time.Now()
	removed, err := d.removed.read(began)
	if err != nil && !isDamage(err) {
		return err
	}
	for id := range removed {
		memory.Reserve(id)
	}
	read := 0
	add := func(entry location.Entry) {
		if _, gone := removed[entry.Binding.ID]; gone {
			return
		}
		entry.Binding = entry.Binding.Within(began)
		if d.unwanted(entry) {
			memory.LoadRemoved(entry)
		} else {
			memory.Load(entry)
		}
		if read++; read%progressStep == 0 {
			d.observer.Reading(read)
		}
	}
	last, err := d.beacon.read()
	if err != nil && !isDamage(err) {
		return err
	}
	switch _, err := d.files.Stat(d.directory()); {
	case errors.Is(err, fs.ErrNotExist) && last == 0: // a new store
	case errors.Is(err, fs.ErrNotExist):
		d.round.Store(last)
		d.observer.Damaged(Damage{Details: []string{d.directory() + " is gone, and bindings were saved there"}})
	case err != nil:
		return err
	default:
		rewrite, err := d.read(last, add)
		if err != nil {
			return err
		}
		if rewrite {
			memory.MarkAll()
		}
	}
	d.loaded.Store(true)
	d.observer.Loaded(read, time.Since(began))
	return nil
}

// read reads a sound store as it is, and salvages a damaged one, which is then to be
// written anew, as is one of older records. last is the number of a commit that it
// has to have.
func (d *disk) read(last uint64, add func(location.Entry)) (rewrite bool, err error) {
	found, err := readSound(d.files, d.directory(), add)
	if err == nil && found.round < last && found.torn == "" {
		found.damaged("the last %d commits are gone, as when a log is lost", last-found.round)
	}
	switch {
	case err != nil && !isDamage(err):
		return false, d.explain(err)
	case err == nil && len(found.damage) == 0:
		d.round.Store(max(found.round, last))
		return found.older > 0, d.keepTornLog(&found)
	case err != nil:
		found.damaged("%v", err)
	}
	cause := found.damage
	if found, err = salvage(d.files, d.directory(), add); err != nil {
		return false, d.explain(err)
	}
	d.round.Store(max(found.round, last))
	d.damage = &Damage{Details: append(cause, found.damage...), Served: found.bindings, Lost: found.lost}
	return true, d.setAside()
}

// explain says what to do about a store that is not to be read.
func (d *disk) explain(err error) error {
	if errors.Is(err, errVersion) {
		return fmt.Errorf("%s: %w: run the newer one that wrote it, or move the bindings with its --export and this one's --import", d.directory(), errVersion)
	}
	return err
}

// setAside makes room for a new store where the one that is there is damaged.
// On a disk that cannot be written it is done later.
func (d *disk) setAside() error {
	if d.damage == nil || d.damage.Aside != "" {
		return nil
	}
	aside := aside(d.directory(), time.Now())
	if err := d.files.Rename(d.directory(), aside); err != nil {
		if isDamage(err) {
			return err
		}
		return nil
	}
	d.damage.Aside = aside
	d.observer.Damaged(*d.damage)
	return syncDirectory(d.files, d.path)
}

// keepTornLog keeps a copy of a log with a torn end, which Pebble drops.
func (d *disk) keepTornLog(found *contents) error {
	if found.torn == "" {
		return nil
	}
	aside := aside(d.directory(), time.Now())
	path := d.files.PathJoin(aside, d.files.PathBase(found.torn))
	err := d.files.MkdirAll(aside, 0o750)
	if err == nil {
		err = vfs.Copy(d.files, found.torn, path)
	}
	d.observer.Damaged(Damage{Details: found.tornDetails, Aside: path, Served: found.bindings, Torn: true})
	if isDamage(err) {
		return err
	}
	return nil
}

// ready opens what has to be open for writing. It fails where nothing can be
// written now.
func (d *disk) ready(memory *location.Memory) error {
	if err := d.takeLock(); err != nil {
		return err
	}
	if err := d.checkSpace(); err != nil {
		return err
	}
	if err := d.load(memory); err != nil {
		return err
	}
	if d.engine.Load() != nil {
		return nil
	}
	if err := d.setAside(); err != nil {
		return err
	}
	engine, err := openEngine(d)
	if isDamage(err) && !isFailure(err) {
		return d.startOver(memory, err)
	}
	if err == nil {
		d.engine.Store(engine)
	}
	return err
}

// startOver sets aside a store that was sound when it was read. All of it is in
// memory.
func (d *disk) startOver(memory *location.Memory, cause error) error {
	_, bindings := memory.Count()
	d.damage = &Damage{Details: []string{cause.Error()}, Served: bindings}
	memory.MarkAll()
	return errors.Join(cause, d.setAside())
}

func (d *disk) checkSpace() error {
	usage, err := d.files.GetDiskUsage(d.path)
	if errors.Is(err, vfs.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return err
	}
	if reserve := min(maxReserve, usage.TotalBytes/10); usage.AvailBytes < reserve {
		return fmt.Errorf("%w: %d MB are free, below the reserve of %d MB", errNoSpace, usage.AvailBytes>>20, reserve>>20)
	}
	return nil
}

// write commits changes.
func (d *disk) write(changes []location.Change, unsure map[sipuri.AOR][]uint64) error {
	engine := d.engine.Load()
	batch := engine.db.NewBatch()
	if err := d.encoder.encode(batch, d.round.Add(1), changes, unsure); err != nil {
		return err
	}
	if err := engine.apply(batch); err != nil {
		return err
	}
	if err := d.beacon.write(d.encoder.round); err != nil {
		d.observer.Trouble(fmt.Errorf("%s: %w", d.beacon.path, err)) // it is but a check
	}
	if err := d.removed.add(changes, unsure, time.Now()); err != nil {
		d.observer.Trouble(fmt.Errorf("%s: %w", d.removed.path, err)) // it is but the second record
	}
	return batch.Close()
}

// abandon gives up the open instance and returns a disk to go on with.
func (d *disk) abandon() *disk {
	d.abandoned.Store(true)
	if engine := d.engine.Load(); engine != nil {
		engine.abandon()
	}
	next := newDisk(Options{Files: d.files, Path: d.path, Observer: d.observer, Unwanted: d.unwanted})
	next.lock, next.loaded, next.round, next.damage = d.lock, d.loaded, d.round, d.damage
	return next
}

func (d *disk) close(flush bool) error {
	var err error
	if engine := d.engine.Load(); engine != nil {
		err = engine.close(flush)
	}
	err = errors.Join(err, d.removed.close(), d.beacon.close())
	if d.lock != nil {
		err = errors.Join(err, d.lock.Close())
	}
	return err
}
