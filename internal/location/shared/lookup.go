package shared

import (
	"context"
	"iter"
	"time"

	"github.com/redis/rueidis"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// Bindings returns what an AOR is bound to at that time: by Redis, or, while it is
// away, by what this node saw last.
func (s *Store) Bindings(aor sipuri.AOR, now time.Time) []location.Binding {
	bindings, _ := s.Lookup(aor, now)
	return bindings
}

// Lookup is Bindings, and tells whether that is what this node saw last alone.
func (s *Store) Lookup(aor sipuri.AOR, now time.Time) (bindings []location.Binding, stale bool) {
	if !s.Stale() {
		r, err := s.ask(s.deadlines.next(time.Now()), keyOf(aor), []string{neverTheVersion})
		if err == nil {
			return s.at(now, r.bindings), false
		}
	}
	return s.at(now, s.seen.Look(aor)), true
}

// at returns those bindings that are valid, with the times of a clock that says now.
func (s *Store) at(now time.Time, bindings []location.Binding) []location.Binding {
	redis := s.clock.now()
	t := task{ahead: redis.Sub(now.Round(0).UTC())}
	valid, _ := t.split(bindings, redis)
	return valid
}

// scanned is how many keys are asked for at once.
const scanned = 500

// All yields the AORs in Redis with what each is bound to, in no order and not of one
// moment. It goes through all keys. While Redis is away, and from when it goes away, it
// yields those that this node saw last.
func (s *Store) All() iter.Seq2[sipuri.AOR, []location.Binding] {
	return func(yield func(sipuri.AOR, []location.Binding) bool) {
		yielded := map[uint64]bool{} // SCAN may return a key twice
		once := func(aor sipuri.AOR, bindings []location.Binding) bool {
			_, hash := s.seen.of(aor)
			if yielded[hash] || len(bindings) == 0 {
				return true
			}
			yielded[hash] = true
			return yield(aor, bindings)
		}
		if !s.Stale() {
			if done, err := s.scanAll(once); err == nil || done {
				return
			}
		}
		for aor, bindings := range s.seen.All() {
			if !once(aor, s.at(time.Now(), bindings)) {
				return
			}
		}
	}
}

// scanAll yields what is in Redis. It is done where no more is wanted.
func (s *Store) scanAll(yield func(sipuri.AOR, []location.Binding) bool) (done bool, err error) {
	for _, node := range (*s.client.Load()).Nodes() {
		if done, err = s.scan(node, yield); done || err != nil {
			return done, err
		}
	}
	return false, nil
}

func (s *Store) scan(node rueidis.Client, yield func(sipuri.AOR, []location.Binding) bool) (done bool, err error) {
	if master, err := s.isMaster(node); err != nil || !master {
		return false, err
	}
	for cursor := uint64(0); ; {
		began := time.Now()
		ctx, cancel := context.WithTimeoutCause(context.Background(), s.timeout, errSlow)
		page, err := node.Do(ctx, node.B().Scan().Cursor(cursor).Match(prefix+"*").Count(scanned).Build()).AsScanEntry()
		if err == nil {
			done, err = s.yieldKeys(ctx, node, page.Elements, yield)
		}
		cancel()
		if err != nil {
			s.fail(s.keyToProbe(), began, causeOf(ctx, err))
			return false, err
		}
		if cursor = page.Cursor; done || cursor == 0 {
			return done, nil
		}
	}
}

// isMaster tells whether keys are to be read from a node.
func (s *Store) isMaster(node rueidis.Client) (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	role, err := node.Do(ctx, node.B().Role().Build()).ToArray()
	if err != nil || len(role) == 0 {
		return false, err
	}
	name, err := role[0].ToString()
	return name == "master", err
}

func (s *Store) yieldKeys(ctx context.Context, node rueidis.Client, keys []string,
	yield func(sipuri.AOR, []location.Binding) bool) (done bool, err error) {
	var aors []sipuri.AOR
	var commands rueidis.Commands
	for _, key := range keys {
		if aor, ok := aorOf(key); ok {
			aors = append(aors, aor)
			commands = append(commands, node.B().Hgetall().Key(key).Build())
		}
	}
	if len(commands) == 0 {
		return false, nil
	}
	s.operations.Add(uint64(len(commands)))
	for i, result := range node.DoMulti(ctx, commands...) {
		fields, err := result.AsStrMap()
		if err != nil && !isOfKey(err) {
			return false, err
		}
		var r reply
		for field, value := range fields {
			r.add(field, value)
		}
		inOrder(r.bindings)
		if !yield(aors[i], s.at(time.Now(), r.bindings)) {
			return true, nil
		}
	}
	return false, nil
}

// Count counts the AORs that this node remembers, and their bindings: those that it
// served last, not all that are in Redis.
func (s *Store) Count() (aors, bindings int) { return s.seen.Count() }
