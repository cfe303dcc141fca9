package shared

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

type (
	change = func(current []location.Binding) ([]location.Binding, error)
	made   = func(expired []location.Binding)
)

// maxRuns bounds how often a change is run where other nodes are quicker each time.
const maxRuns = 12

var errBusy = errors.New("other nodes change an AOR all the time")

// Update is location.Store's. It fails with location.ErrNotDurable where Redis does
// not answer in time; then the change may have been made all the same.
//
// change sees what this node has seen last, or nothing, and Redis says whether that is
// what there is: so a phone that stays with its node costs one round trip, and one that
// comes from another node costs two. A change that fails is run again with what is in
// Redis, unless it fails with location.ErrAsItWas.
func (s *Store) Update(aor sipuri.AOR, now time.Time, change func(current []location.Binding) ([]location.Binding, error),
	made func(expired []location.Binding)) error {
	return s.update(&task{aor: aor, now: now, change: change, made: made})
}

// UpdateProved is Update for a request that a nonce has proved. It fails with
// location.ErrReplayed where that nonce was used with that or a higher count before, on
// whatever node, or may have been. Where change fails, the use is not remembered.
func (s *Store) UpdateProved(aor sipuri.AOR, now time.Time, use location.Use,
	change func(current []location.Binding) ([]location.Binding, error), made func(expired []location.Binding)) error {
	return s.update(&task{aor: aor, now: now, use: &use, change: change, made: made})
}

// task is a change of an AOR. Its caller's clock says now, whatever Redis's says: all
// times that change and made see are by that clock.
type task struct {
	aor         sipuri.AOR
	now         time.Time
	use         *location.Use // nil: no nonce has proved it
	change      change
	made        made
	keepExpired bool // what has expired stays, for others to end

	// of the last run
	ahead   time.Duration // of Redis's clock, the caller's
	expired []location.Binding
	next    []location.Binding // what is to be stored, with the times of Redis's clock
	granted []time.Duration    // how long each of next lasts, 0: as it was
	request []string           // arguments of the script
}

func (s *Store) update(t *task) error {
	began, key := time.Now(), keyOf(t.aor)
	shard := s.shardOf(key)
	ctx := s.deadlineOf(shard, began) // to wait for others who change the AOR counts too
	stripe, hash := s.seen.of(t.aor)
	stripe.mu.Lock()
	defer stripe.mu.Unlock()
	if shard.away.Load() || s.closing.Load() || ctx.Err() != nil {
		return location.ErrNotDurable
	}
	t.now = t.now.Round(0).UTC() // what is stored has no reading of a monotonic clock either
	current := s.seen.state(stripe, hash, t.aor)
	for range maxRuns {
		failure := s.run(t, current)
		if failure != nil && (current.fresh || errors.Is(failure, location.ErrAsItWas)) {
			return failure
		}
		if failure != nil {
			t.request = append(t.request[:0], neverTheVersion)
		}
		r, err := s.ask(ctx, key, t.request)
		if err != nil {
			s.seen.forget(stripe, hash)
			return location.ErrNotDurable
		}
		switch {
		case r.replayed:
			s.replayed.Add(1)
			return location.ErrReplayed
		case r.conflict:
			if failure == nil && current.version != "" {
				s.conflicts.Add(1)
			}
			current = state{r.version, r.bindings, true}
			s.seen.take(stripe, hash, t.aor, current)
		default:
			t.settle(&r)
			s.seen.take(stripe, hash, t.aor, state{version: r.version, bindings: t.next})
			s.observer.Committed(time.Since(began), 1)
			if t.made != nil {
				t.made(t.expired)
			}
			return nil
		}
	}
	s.failures.Add(1)
	s.observer.Trouble(errBusy)
	return location.ErrNotDurable
}

// run runs the change with what is there, and works out what is to be asked of Redis.
func (s *Store) run(t *task, current state) error {
	redis := s.clock.now()
	t.ahead = redis.Sub(t.now)
	valid, expired := t.split(current.bindings, redis)
	t.expired = nil
	if !t.keepExpired {
		t.expired = expired
	}
	next, err := t.change(valid)
	if err != nil {
		return err
	}
	t.plan(s, current, next)
	return nil
}

// split returns the bindings that are valid and those that have expired, with the times
// of the caller's clock.
func (t *task) split(bindings []location.Binding, redis time.Time) (valid, expired []location.Binding) {
	valid = make([]location.Binding, 0, len(bindings))
	for _, b := range bindings {
		has := b.Expires.After(redis)
		b.Expires, b.Changed = b.Expires.Add(-t.ahead), b.Changed.Add(-t.ahead)
		if has {
			valid = append(valid, b)
		} else {
			expired = append(expired, b)
		}
	}
	return valid, expired
}

// plan compares what change returned with what is there.
func (t *task) plan(s *Store, current state, next []location.Binding) {
	t.next, t.granted = make([]location.Binding, 0, len(next)+len(t.expired)), t.granted[:0]
	var last int64
	t.request = append(t.request[:0], make([]string, fixed, fixed+changed*(len(next)+len(current.bindings)))...)
	for i := range next {
		there := find(current.bindings, next[i].ID)
		if there != nil && t.isAs(there, &next[i]) {
			last = max(last, there.Expires.UnixMilli())
			t.keep(*there)
			continue
		}
		if there == nil { // whatever ID it had in an earlier run is that of one that is gone
			next[i].ID = s.newID()
		}
		next[i].Node = s.node
		t.write(&next[i])
	}
	for i := range current.bindings {
		b := &current.bindings[i]
		switch {
		case find(next, b.ID) != nil:
		case t.keepExpired && find(t.next, b.ID) == nil && !b.Expires.Add(-t.ahead).After(t.now):
			last = max(last, b.Expires.UnixMilli())
			t.keep(*b)
		default:
			t.request = append(t.request, strconv.FormatUint(b.ID, 10), "", "")
		}
	}
	serial := ""
	if len(t.request) > fixed {
		serial = strconv.FormatUint(s.serial.Add(1), serialBase)
	}
	head := append(t.request[:0], current.version, serial, strconv.Itoa(len(t.next)), strconv.FormatInt(last, 10))
	_ = appendUse(head, t.use, s.lifetime) // which fills what was left out
}

// keep leaves a binding as it is.
func (t *task) keep(b location.Binding) {
	t.next, t.granted = append(t.next, b), append(t.granted, 0)
}

// write appends the arguments by which a binding is written.
func (t *task) write(b *location.Binding) {
	granted := b.Expires.Sub(t.now).Truncate(time.Millisecond)
	stored := *b
	stored.Changed = b.Changed.Add(t.ahead).Truncate(time.Millisecond)
	t.next, t.granted = append(t.next, stored), append(t.granted, max(granted, time.Millisecond))
	t.request = append(t.request,
		strconv.FormatUint(b.ID, 10), encode(b, stored.Changed), strconv.FormatInt(granted.Milliseconds(), 10))
}

// settle gives what was written the times that Redis has given it.
func (t *task) settle(r *reply) {
	for i := range t.next {
		if t.granted[i] > 0 {
			t.next[i].Expires = r.now.Add(t.granted[i])
		}
	}
}

// isAs tells whether a binding, by the caller's clock, is as it is there.
func (t *task) isAs(there, b *location.Binding) bool {
	if !there.Expires.Equal(b.Expires.Add(t.ahead)) || !there.Changed.Equal(b.Changed.Add(t.ahead)) {
		return false
	}
	same := *b
	same.Expires, same.Changed = there.Expires, there.Changed
	return same == *there
}

func find(bindings []location.Binding, id uint64) *location.Binding {
	if id == 0 {
		return nil
	}
	at := slices.IndexFunc(bindings, func(b location.Binding) bool { return b.ID == id })
	if at < 0 {
		return nil
	}
	return &bindings[at]
}
