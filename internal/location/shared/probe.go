package shared

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/redis/rueidis"
)

const (
	healthyInterval = time.Second // between two probes of what is there, which tell Redis's time too

	secretTurns = 5 // after as many of these the secrets that nodes share are looked at
)

// watch looks after Redis until the store is closed.
func (s *Store) watch() {
	defer s.running.Done()
	for turn := 0; ; turn++ {
		select {
		case <-s.stopping:
			return
		case <-time.After(healthyInterval):
		}
		s.look(turn)
		if turn%secretTurns == 0 { // whichever shard it was that was looked at
			s.lookAtSecrets()
		}
		s.lookForTwin()
		s.remind()
	}
}

// look sees whether one of the shards is there, each in its turn, and what a Cluster is made
// of. Those that are away are asked by others.
func (s *Store) look(turn int) {
	if s.client.Load() == nil {
		return
	}
	s.readShards()
	all := s.shards.Load().all
	sh := all[turn%len(all)]
	if sh.suspect.Load() {
		return
	}
	began := time.Now()
	if err := s.probe(sh, s.timeout); err != nil {
		s.failures.Add(1)
		s.suspect(sh, "", began, err)
	}
}

// probe asks a shard for the time and writes, there where an operation has failed last. Of
// one that is none any more it asks the others.
func (s *Store) probe(sh *shard, patience time.Duration) (err error) {
	if err := s.connect(); err != nil {
		return err
	}
	s.mu.Lock()
	failed := sh.failed
	s.mu.Unlock()
	shards := s.shards.Load()
	if slices.Contains(shards.all, sh) {
		return s.try(shards.probeOf(sh, failed), patience, sh == shards.all[0] || shards.all[0].away.Load())
	}
	for _, other := range shards.all {
		if err = s.try(shards.probeOf(other, ""), patience, true); err == nil {
			return nil
		}
	}
	return err
}

// try runs the second script, and takes the time that it returns for that of Redis where it
// is to set the clock: the masters of a Cluster have a clock each.
func (s *Store) try(key string, patience time.Duration, setsClock bool) error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), patience, errSlow)
	defer cancel()
	sent := s.clock.elapsed()
	said, err := s.scripts.probe.Exec(ctx, *s.client.Load(), []string{key}, []string{s.node}).AsStrSlice()
	if err != nil {
		return causeOf(ctx, err)
	}
	if len(said) != 2 {
		return errReply
	}
	if setsClock {
		seconds, _ := strconv.ParseInt(said[0], 10, 64)
		micros, _ := strconv.ParseInt(said[1], 10, 64)
		s.clock.set(sent, s.clock.elapsed(), time.Unix(seconds, micros*1000))
	}
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
	s.readShards()
	return nil
}
