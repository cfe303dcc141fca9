package shared

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

const (
	// While Redis is away it is asked so often whether it is back, give or take half
	// of it, so that nodes do not ask all at once.
	awayInterval = 170 * time.Millisecond

	healthyInterval = time.Second     // between two probes else, which tell Redis's time too
	remindInterval  = 5 * time.Second // between calls of Observer.NotDurable
)

var (
	errSlow    = errors.New("no answer from Redis in time")
	errStarted = errors.New("nothing was heard of Redis yet")
)

// Status is how a store does.
type Status struct {
	Failure error     // why Redis is away; nil: it is not
	Since   time.Time // when that began
}

// Status returns how the store does.
func (s *Store) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Status{s.failure, s.since}
}

// Stale tells whether Redis is away: changes fail at once, and Bindings and All return
// what this node saw last.
func (s *Store) Stale() bool { return s.away.Load() }

// ask runs the first script. It is never run again where it failed: it may have been done.
func (s *Store) ask(ctx context.Context, key string, arguments []string) (reply, error) {
	s.operations.Add(1)
	began := time.Now()
	client := s.client.Load()
	if client == nil {
		return reply{}, errStarted
	}
	r, err := readReply(s.scripts.update.Exec(ctx, *client, []string{key}, arguments))
	if err != nil {
		s.fail(key, began, causeOf(ctx, err))
		return reply{}, err
	}
	if r.skipped > 0 {
		s.observer.Trouble(fmt.Errorf("%w: %d in the hash of an AOR", errRecord, r.skipped))
	}
	return r, nil
}

// causeOf returns why an operation failed.
func causeOf(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return context.Cause(ctx)
	}
	return err
}

// fail takes down that an operation failed. Unless that is a matter of its AOR alone, it
// was given too little time, or it began before Redis was back the last time, Redis is
// away from now on.
func (s *Store) fail(key string, began time.Time, cause error) {
	if s.closing.Load() {
		return
	}
	s.failures.Add(1)
	if isOfKey(cause) {
		s.observer.Trouble(cause)
		return
	}
	if errors.Is(cause, errSlow) && time.Since(began) < s.timeout/2 {
		return // the time went by before it was asked
	}
	s.mu.Lock()
	first := s.failure == nil && began.After(s.healed)
	if first {
		s.failure, s.since, s.failedKey = cause, time.Now(), key
		s.away.Store(true)
	}
	s.mu.Unlock()
	if first {
		s.observer.NotDurable(cause, 0)
		s.hurry()
	}
}

// isOfKey tells whether an error is about what stands under a key: of whatever else
// Redis complains, it cannot do its work just now.
func isOfKey(err error) bool {
	answer, answered := rueidis.IsRedisErr(err)
	if !answered {
		return errors.Is(err, errReply) || rueidis.IsParseErr(err)
	}
	return strings.Contains(answer.Error(), "WRONGTYPE") // older versions have it in the midst of the text
}

// hurry has the prober wait no longer than it does while Redis is away.
func (s *Store) hurry() {
	select {
	case s.probes <- struct{}{}:
	default:
	}
}

// watch looks after Redis until the store is closed.
func (s *Store) watch() {
	defer s.running.Done()
	for {
		wait := healthyInterval
		if s.Stale() {
			wait = awayInterval/2 + rand.N(awayInterval)
		}
		select {
		case <-s.stopping:
			return
		case <-s.probes:
			continue // with the wait of what it is like now
		case <-time.After(wait):
		}
		s.look()
	}
}

// look sees whether Redis is there.
func (s *Store) look() {
	asked := time.Now()
	err := s.probe()
	switch {
	case err != nil:
		s.fail(s.keyToProbe(), asked, err)
		s.remind()
	case s.Stale():
		s.heal(asked)
	}
}

func (s *Store) keyToProbe() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failedKey
}

// probe asks for the time and writes, in the part of a Cluster where an operation has
// failed last.
func (s *Store) probe() error {
	if err := s.connect(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), s.timeout, errSlow)
	defer cancel()
	key := "k:probe:" + strings.TrimPrefix(s.keyToProbe(), "b:")
	sent := s.clock.elapsed()
	said, err := s.scripts.probe.Exec(ctx, *s.client.Load(), []string{key}, []string{s.node}).AsStrSlice()
	if err != nil {
		return causeOf(ctx, err)
	}
	if len(said) != 2 {
		return errReply
	}
	seconds, _ := strconv.ParseInt(said[0], 10, 64)
	micros, _ := strconv.ParseInt(said[1], 10, 64)
	s.clock.set(sent, s.clock.elapsed(), time.Unix(seconds, micros*1000))
	return nil
}

// connect makes the client where there is none yet.
func (s *Store) connect() error {
	if s.client.Load() != nil {
		return nil
	}
	client, err := rueidis.NewClient(s.option)
	if err != nil {
		return err
	}
	s.client.Store(&client)
	return nil
}

// heal takes down that Redis is back, unless it failed once more since it was asked.
func (s *Store) heal(asked time.Time) {
	s.putSecrets()
	s.mu.Lock()
	healed := s.failure != nil && s.since.Before(asked)
	after := time.Since(s.since)
	if healed {
		s.failure, s.since, s.reminded, s.healed = nil, time.Time{}, time.Time{}, asked
		s.away.Store(false)
	}
	s.mu.Unlock()
	if healed {
		s.observer.Durable(after)
		s.resume()
	}
}

func (s *Store) remind() {
	s.mu.Lock()
	cause, due := s.failure, false
	if last := s.reminded; cause != nil {
		if last.IsZero() {
			last = s.since
		}
		if due = time.Since(last) >= remindInterval; due {
			s.reminded = time.Now()
		}
	}
	s.mu.Unlock()
	if due {
		s.observer.NotDurable(cause, 0)
	}
}
