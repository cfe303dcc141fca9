package shared

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/redis/rueidis"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// scanned is how many keys are asked for at once.
const scanned = 500

// errPart says that not all of Redis was gone through.
var errPart = errors.New("a part of Redis was not gone through")

// All yields the AORs in Redis with what each is bound to, in no order and not of one
// moment, and now and then one twice. It goes through all keys, and keeps none of them. Of
// what is away, or goes away, it yields those that this node saw last.
func (s *Store) All() iter.Seq2[sipuri.AOR, []location.Binding] {
	return func(yield func(sipuri.AOR, []location.Binding) bool) { s.Walk(yield) }
}

// Walk is All, and tells whether that was what is in Redis, as far as it was asked for.
func (s *Store) Walk(yield func(sipuri.AOR, []location.Binding) bool) (isAll bool) {
	through, done := s.scanAll(yield)
	if done || through.isAll() {
		return true
	}
	for aor, bindings := range s.remembered() {
		if !through.has(keyOf(aor)) && !yield(aor, bindings) {
			break
		}
	}
	return false
}

// through is what of Redis was gone through.
type through struct {
	shards  *shards
	masters []*shard
}

func (t *through) has(key string) bool { return slices.Contains(t.masters, t.shards.ofKey(key)) }

func (t *through) isAll() bool {
	return !slices.ContainsFunc(t.shards.all, func(sh *shard) bool { return !slices.Contains(t.masters, sh) })
}

// scanAll yields what is in Redis, as far as that is there. It is done where no more is
// wanted, or the store is being closed.
func (s *Store) scanAll(yield func(sipuri.AOR, []location.Binding) bool) (t through, done bool) {
	t.shards = s.shards.Load()
	client := s.client.Load()
	if client == nil {
		return t, false
	}
	for address, server := range (*client).Nodes() {
		sh := t.shards.all[0]
		if t.shards.of != nil {
			sh = t.shards.named(address)
		}
		if sh == nil || sh.away.Load() || slices.Contains(t.masters, sh) {
			continue
		}
		began := time.Now()
		isMaster, err := s.isMaster(server)
		if err == nil && isMaster {
			done, err = s.scan(server, yield)
		}
		switch {
		case done:
			return t, true
		case err != nil:
			s.failures.Add(1)
			if _, answered := rueidis.IsRedisErr(err); answered { // nothing else may tell of it
				s.observer.Trouble(fmt.Errorf("going through Redis: %w", err))
			}
			s.suspect(sh, "", began, err)
		case isMaster:
			t.masters = append(t.masters, sh)
		}
	}
	return t, false
}

func (s *Store) scan(server rueidis.Client, yield func(sipuri.AOR, []location.Binding) bool) (done bool, err error) {
	for cursor := uint64(0); ; {
		if s.closing.Load() {
			return true, nil
		}
		ctx, cancel := context.WithTimeoutCause(context.Background(), s.timeout, errSlow)
		page, err := server.Do(ctx, server.B().Scan().Cursor(cursor).Match(prefix+"*").Count(scanned).Build()).AsScanEntry()
		if err == nil {
			done, err = s.yieldKeys(ctx, server, page.Elements, yield)
		}
		err = causeOf(ctx, err)
		cancel()
		if cursor = page.Cursor; err != nil || done || cursor == 0 {
			return done, err
		}
	}
}

// isMaster tells whether keys are to be read from a node.
func (s *Store) isMaster(server rueidis.Client) (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	role, err := server.Do(ctx, server.B().Role().Build()).ToArray()
	if err != nil || len(role) == 0 {
		return false, err
	}
	name, err := role[0].ToString()
	return name == "master", err
}

func (s *Store) yieldKeys(ctx context.Context, server rueidis.Client, keys []string,
	yield func(sipuri.AOR, []location.Binding) bool) (done bool, err error) {
	var aors []sipuri.AOR
	var commands rueidis.Commands
	for _, key := range keys {
		if aor, ok := aorOf(key); ok {
			aors = append(aors, aor)
			commands = append(commands, server.B().Hgetall().Key(key).Build())
		}
	}
	if len(commands) == 0 {
		return false, nil
	}
	s.operations.Add(uint64(len(commands)))
	for i, result := range server.DoMulti(ctx, commands...) {
		fields, err := result.AsStrMap()
		if err != nil && !isOfKey(err) {
			return false, err
		}
		var r reply
		for field, value := range fields {
			r.add(field, value)
		}
		inOrder(r.bindings)
		if valid := s.at(time.Now(), r.bindings); len(valid) > 0 && !yield(aors[i], valid) {
			return true, nil
		}
	}
	return false, nil
}
