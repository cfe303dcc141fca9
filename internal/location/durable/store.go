// Package durable makes the bindings of a memory store last: a change is on
// disk before anybody is told of it, and while the disk fails, the memory
// serves on.
package durable

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// Options say how a store is run.
type Options struct {
	Path string // of its directory, which is made where it is not there
	// Require makes the store refuse changes that cannot be saved. Without it
	// they are made in memory, and saved when the disk is back.
	Require  bool
	Observer Observer
	// Patience bounds how long a commit may take; 0: 500 ms.
	Patience time.Duration
	// Unwanted picks the bindings to remove of those that are read. It is
	// called once for each and must not use the store. nil: none.
	Unwanted func(location.Entry) bool
	Files    vfs.FS // nil: those of the machine
}

// Observer is told what happens to a store. Its methods must not block.
type Observer interface {
	// Reading is called now and then while a large store is read.
	Reading(bindings int)
	// Loaded is called once what is on disk has been read into memory, within
	// Open as a rule, later where the disk could not be read then.
	Loaded(bindings int, took time.Duration)
	Damaged(Damage)
	// NotDurable is called when bindings cannot be saved, and every few seconds
	// while that lasts. The bindings of that many AORs are to be saved.
	NotDurable(cause error, aors int)
	Durable(after time.Duration)
	// Committed is called once the bindings of that many AORs are on disk.
	Committed(took time.Duration, aors int)
	// Trouble is called for what Pebble gets over by itself. It may be often.
	Trouble(error)
}

// Damage is what was found to be wrong with a store.
type Damage struct {
	Details []string
	Aside   string // where what is damaged is kept
	Served  int    // bindings that could be read
	Lost    int    // bindings that are known of and could not be read
	Torn    bool   // just the end of the log is, as by a power cut
}

const (
	// commitTime bounds how long answers wait for the disk: T1 (RFC 3261
	// §17.1.1.1), after which phones ask again.
	commitTime = 500 * time.Millisecond

	commitInterval = time.Millisecond // between two commits, at least

	retryInterval  = time.Second     // between tries to write while the disk fails
	remindInterval = 5 * time.Second // between calls of Observer.NotDurable

	// maxChanges is how many AORs are written in one commit at most; fewer on a
	// disk on which that takes too long.
	maxChanges, minChanges = 4096, 64
)

var (
	errSlow    = errors.New("the disk is too slow: a commit takes more than 500 ms")
	errGivenUp = errors.New("the writer did not wait, and nothing was taken to write")
)

// Store keeps bindings in memory, which answers, and on disk, which follows. It
// may be used by many goroutines at once.
type Store struct {
	*location.Memory
	require  bool
	patience time.Duration
	observer Observer

	wake     chan struct{} // there is something to write
	stopping chan struct{}
	ended    chan struct{}
	busy     atomic.Bool  // a commit is under way
	loaded   *atomic.Bool // what is on disk is in memory

	mu      sync.Mutex
	failure error     // why bindings cannot be saved; nil: they are
	since   time.Time // when that began
	undone  location.Mark
	waiting *round

	// These are the writer's own.
	disk   *disk
	limit  int                     // AORs in one commit
	room   []location.Change       // of the last commit, for the next one
	unsure map[sipuri.AOR][]uint64 // what may stand on disk for an AOR since a commit failed
	stuck  <-chan error            // the outcome of a commit that nobody waits for any more
	remind time.Time
	last   time.Time // when the last commit ended
}

// round is a commit that answers wait for.
type round struct{ done chan struct{} }

// Open reads the bindings under a path into memory and keeps them there from
// then on. It fails with ErrInUse where another process does, and where the
// path is no directory or holds bindings in a form that is not known here. Any
// other trouble with the disk is got over once it is gone.
func Open(options Options) (*Store, error) {
	if options.Files == nil {
		options.Files = vfs.Default
	}
	if options.Patience == 0 {
		options.Patience = commitTime
	}
	if options.Unwanted == nil {
		options.Unwanted = func(location.Entry) bool { return false }
	}
	s := &Store{
		Memory:   location.NewMemory(time.Now()),
		require:  options.Require,
		patience: options.Patience,
		limit:    maxChanges,
		observer: options.Observer,
		wake:     make(chan struct{}, 1),
		stopping: make(chan struct{}),
		ended:    make(chan struct{}),
		waiting:  newRound(),
		disk:     newDisk(options),
		unsure:   map[sipuri.AOR][]uint64{},
	}
	s.loaded = s.disk.loaded
	s.Track()
	if err := s.start(); err != nil {
		return nil, err
	}
	go s.write()
	s.wakeWriter()
	return s, nil
}

func newRound() *round { return &round{done: make(chan struct{})} }

// Update is Memory.Update. Where changes have to be saved and cannot be, it
// fails with location.ErrNotDurable if there is a change, or if it is not known
// whether there is one, since what is on disk could not be read yet.
func (s *Store) Update(aor sipuri.AOR, now time.Time, change func([]location.Binding) ([]location.Binding, error),
	made func(expired []location.Binding)) error {
	if !s.require {
		return s.Memory.Update(aor, now, change, made)
	}
	if !s.loaded.Load() {
		return location.ErrNotDurable
	}
	return s.Memory.Update(aor, now, func(current []location.Binding) ([]location.Binding, error) {
		next, err := change(current)
		if err == nil && s.refuses() && !slices.Equal(current, next) {
			err = location.ErrNotDurable
		}
		return next, err
	}, made)
}

func (s *Store) refuses() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure != nil
}

// RemoveIf is Memory.RemoveIf. It does not wait for the disk.
func (s *Store) RemoveIf(unwanted func(sipuri.AOR, *location.Binding) bool, ended location.Ended) {
	s.Memory.RemoveIf(unwanted, ended)
	s.wakeWriter()
}

// Expire is Memory.Expire. It does not wait for the disk.
func (s *Store) Expire(now time.Time, ended location.Ended) {
	s.Memory.Expire(now, ended)
	s.wakeWriter()
}

// Begin returns the mark to give to Commit.
func (s *Store) Begin() location.Mark {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.undone
}

// Commit returns when all that was changed up to now is on disk, or cannot be
// written, or takes too long.
func (s *Store) Commit(since location.Mark) error {
	if s.Changed() || s.busy.Load() {
		if round := s.join(); round != nil {
			s.wakeWriter()
			<-round.done
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.undone != since {
		return location.ErrNotDurable
	}
	return nil
}

// join returns the next round to wait for, nil while the disk fails.
func (s *Store) join() *round {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return nil
	}
	return s.waiting
}

func (s *Store) wakeWriter() {
	select {
	case s.wake <- struct{}{}:
	default: // it is awake
	}
}

// Status is how a store does.
type Status struct {
	Failure error     // why bindings cannot be saved; nil: they are
	Since   time.Time // when that began
	Unsaved int       // AORs whose bindings are to be saved
}

// Status returns how the store does.
func (s *Store) Status() Status {
	unsaved := s.CountChanges() // before the lock: whoever changes a binding asks for that lock too
	s.mu.Lock()
	defer s.mu.Unlock()
	return Status{s.failure, s.since, unsaved}
}

// Close saves what is left to save and closes the store. No change must be made
// any more.
func (s *Store) Close() error {
	close(s.stopping)
	<-s.ended
	if n := s.CountChanges(); n > 0 {
		return fmt.Errorf("the bindings of %d AORs could not be saved: %w", n, s.Status().Failure)
	}
	return nil
}
