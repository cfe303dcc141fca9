package durable

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// openTries is how many times as long as for a commit a start waits until the
// store can be written.
const openTries = 20

// start reads what is on disk, as far as that can be, and gets ready to write. On
// a disk that fails phones do not wait for that.
func (s *Store) start() error {
	err := protect(func() error {
		err := s.disk.takeLock()
		if fatal(err) {
			return err
		}
		// What cannot be written can be read, at times.
		return errors.Join(err, s.disk.load(s.Memory))
	})
	if err != nil && fatal(err) {
		if errors.Is(err, syscall.ENOTDIR) {
			err = fmt.Errorf("%w: let [location] path name a directory", err)
		}
		return errors.Join(err, s.disk.close(false))
	}
	if err == nil {
		err = s.openFirst()
	}
	if err != nil {
		s.fail(err)
	}
	return nil
}

// openFirst opens the store for writing. What has to be written again since the
// last commits takes longer than a commit, and is no failure.
func (s *Store) openFirst() error {
	outcome := protected(func() error { return s.disk.ready(s.Memory) })
	timer := time.NewTimer(openTries * s.patience)
	defer timer.Stop()
	select {
	case err := <-outcome:
		return err
	case err := <-s.disk.broken:
		s.abandon()
		return err
	case <-timer.C:
		s.stuck = outcome
		return errSlow
	}
}

// fatal tells whether there is no use in waiting for an error to pass.
func fatal(err error) bool {
	return errors.Is(err, ErrInUse) || errors.Is(err, errVersion) || errors.Is(err, syscall.ENOTDIR)
}

// write is the one goroutine that writes, until the store is closed.
func (s *Store) write() {
	defer close(s.ended)
	ticker := time.NewTicker(retryInterval)
	defer ticker.Stop()
	for {
		select {
		case <-s.wake:
			if s.failing() {
				continue // the ticker says when to try again
			}
			s.pace()
		case <-ticker.C:
		case <-s.stopping:
			s.end()
			return
		}
		s.commit()
	}
}

// pace lets some requests gather where one commit has followed another.
func (s *Store) pace() {
	if rest := commitInterval - time.Since(s.last); rest > 0 {
		time.Sleep(rest)
	}
}

func (s *Store) failing() bool { return s.refuses() }

// commit saves all changes and lets go on who waits for that.
func (s *Store) commit() {
	round := s.nextRound()
	s.busy.Store(true)
	for saved := false; !saved; {
		err := s.save()
		if err != nil {
			s.fail(err)
			break
		}
		saved = s.recover()
	}
	s.busy.Store(false) // not before it is known what has become of the changes
	s.last = time.Now()
	close(round.done)
}

func (s *Store) nextRound() *round {
	s.mu.Lock()
	defer s.mu.Unlock()
	current := s.waiting
	s.waiting = newRound()
	return current
}

// fail takes down that bindings cannot be saved. Where they have to be, what
// was not is undone.
func (s *Store) fail(err error) {
	now := time.Now()
	first, waiting := s.setFailure(err, now)
	if first && s.require {
		s.UndoChanges()
	}
	close(waiting.done)
	if first || now.After(s.remind) {
		s.remind = now.Add(remindInterval)
		s.observer.NotDurable(err, s.CountChanges())
	}
}

func (s *Store) setFailure(err error, now time.Time) (first bool, waiting *round) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first = s.failure == nil
	if first {
		s.since = now
		if s.require {
			s.undone++
		}
	}
	s.failure = err
	waiting, s.waiting = s.waiting, newRound()
	return first, waiting
}

// recover takes down that all bindings are saved. While the disk failed nobody
// waited for a commit: what has changed meanwhile is to be saved first.
func (s *Store) recover() (saved bool) {
	s.mu.Lock()
	failed, since := s.failure != nil, s.since
	if failed && s.Changed() {
		s.mu.Unlock()
		return false
	}
	s.failure = nil
	s.mu.Unlock()
	if failed {
		s.observer.Durable(time.Since(since))
	}
	return true
}

// save writes until there is nothing left to write.
func (s *Store) save() error {
	for {
		if s.stuck != nil {
			if err := s.stillStuck(); err != nil {
				return err
			}
		}
		if !s.Changed() && !s.failing() && s.disk.engine.Load() != nil {
			return nil
		}
		more, err := s.saveSome()
		if err != nil || !more {
			return err
		}
	}
}

// stillStuck looks for the outcome of a commit that took too long. Whatever it
// was, its changes are written again.
func (s *Store) stillStuck() error {
	select {
	case err := <-s.stuck:
		s.stuck = nil
		if err != nil && !errors.Is(err, errGivenUp) {
			s.abandon()
		}
		return nil
	case <-s.disk.broken:
		s.stuck = nil
		s.abandon()
		return nil
	default:
		return errSlow
	}
}

// saveSome writes a number of changes. There may be more.
func (s *Store) saveSome() (more bool, err error) {
	a := &attempt{disk: s.disk, memory: s.Memory, unsure: s.unsure, limit: s.limit, changes: s.room}
	s.room = nil // it is the attempt's until that has succeeded
	outcome := protected(a.run)
	timer := time.NewTimer(s.patience)
	defer timer.Stop()
	broken := false
	select {
	case err = <-outcome:
	case err = <-s.disk.broken:
		broken = true
	case <-timer.C:
		s.stuck, err = outcome, errSlow
		s.limit = max(s.limit/2, minChanges)
	}
	changes, begun := a.giveUp()
	if err == nil {
		s.settle(changes)
		if len(changes) > 0 {
			s.observer.Committed(a.took, len(changes))
		}
		clear(changes)
		s.room = changes[:0]
		return a.more, nil
	}
	s.doubt(changes)
	if broken || begun && s.stuck == nil {
		s.abandon()
	}
	return false, err
}

// settle takes down that changes are on disk.
func (s *Store) settle(changes []location.Change) {
	for i := range changes {
		delete(s.unsure, changes[i].AOR)
	}
	s.limit = min(s.limit+minChanges, maxChanges)
}

// abandon gives up what is open on disk.
func (s *Store) abandon() { s.disk = s.disk.abandon() }

// doubt takes changes back of which it is not known whether they are on disk.
func (s *Store) doubt(changes []location.Change) {
	for i := range changes {
		ids := s.unsure[changes[i].AOR]
		for r := range changes[i].After.Records() {
			if !slices.Contains(ids, r.ID) {
				ids = append(ids, r.ID)
			}
		}
		s.unsure[changes[i].AOR] = ids
	}
	s.ReturnChanges(changes)
}

// end writes what is left and closes the disk. A disk that does not answer is
// left alone.
func (s *Store) end() {
	s.commit()
	if s.stuck != nil {
		return
	}
	select {
	case err := <-protected(func() error { return s.disk.close(!s.failing()) }):
		if err != nil {
			s.observer.Trouble(err)
		}
	case <-time.After(10 * s.patience):
	}
}

// attempt is one try to write changes. It may outlive the patience of the
// writer, which then goes on without it.
type attempt struct {
	disk   *disk
	memory *location.Memory
	unsure map[sipuri.AOR][]uint64
	limit  int           // of AORs
	took   time.Duration // to write them; known once run has ended

	mu      sync.Mutex
	givenUp bool
	begun   bool // it has got as far as the commit
	changes []location.Change
	more    bool
}

func (a *attempt) run() error {
	if err := a.disk.ready(a.memory); err != nil {
		return err
	}
	changes, unsure, err := a.take()
	if err != nil {
		return err
	}
	began := time.Now()
	err = a.disk.write(changes, unsure)
	a.took = time.Since(began)
	return err
}

// take takes the changes to write, with what is unsure about their AORs.
func (a *attempt) take() ([]location.Change, map[sipuri.AOR][]uint64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.givenUp {
		return nil, nil, errGivenUp
	}
	a.begun = true
	a.changes, a.more = a.memory.TakeChanges(a.changes, a.limit)
	unsure := map[sipuri.AOR][]uint64{}
	for i := range a.changes {
		if ids, found := a.unsure[a.changes[i].AOR]; found {
			unsure[a.changes[i].AOR] = slices.Clone(ids)
		}
	}
	return a.changes, unsure, nil
}

// giveUp returns the changes that were taken, and whether their commit has begun.
// After it none are.
func (a *attempt) giveUp() (changes []location.Change, begun bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.givenUp = true
	return a.changes, a.begun
}
