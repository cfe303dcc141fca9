package shared

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

// shard is a part of Redis that may be away by itself: the slots of one master of a
// Cluster, or all that one server has.
type shard struct {
	name    string      // the address of the master, empty: it is all there is, or slots that nobody has
	away    atomic.Bool // operations fail at once
	suspect atomic.Bool // an operation has failed: the shard is asked whether it is there

	// Held under Store.mu.
	failure error     // why it is away; nil: it is not
	since   time.Time // likewise
	healed  time.Time // when it was asked for the last time before it was back
	failed  string    // the key with which an operation has failed last
	others  int       // operations with other keys that have failed since
}

// shards is what Redis is made of. It is not changed: another one takes its place.
type shards struct {
	all   []*shard // at least one
	of    []uint16 // which of them a slot belongs to, nil: there is one alone
	spans []span   // that they were made of
}

// span is slots that a master of a Cluster has.
type span struct {
	first, last int64
	master      string
}

// wholeRedis is what it is made of where there is no Cluster.
func wholeRedis() *shards { return &shards{all: []*shard{{}}} }

// shardOf returns the shard that a key belongs to.
func (s *Store) shardOf(key string) *shard { return s.shards.Load().ofKey(key) }

func (s *shards) ofKey(key string) *shard {
	if s.of == nil {
		return s.all[0]
	}
	return s.all[s.of[slotOf(key)]]
}

// named returns the shard of a master, nil where there is none of that name.
func (s *shards) named(master string) *shard {
	if at := slices.IndexFunc(s.all, func(sh *shard) bool { return sh.name == master }); at >= 0 {
		return s.all[at]
	}
	return nil
}

// probeKey returns a key that belongs where another one does.
func probeKey(key string) string { return "k:probe:{" + tagOf(key) + "}" }

// probeOf returns a key to try a shard with: where an operation has failed last, if that
// is still there.
func (s *shards) probeOf(sh *shard, failed string) string {
	if failed != "" && s.ofKey(failed) == sh {
		return probeKey(failed)
	}
	for i := 0; ; i++ {
		if key := probeKey(strconv.Itoa(i)); s.ofKey(key) == sh {
			return key
		}
	}
}

// maxShardAsks bounds how many servers of a Cluster are asked what it is made of, one
// after the other.
const maxShardAsks = 3

// readShards looks at what a Cluster is made of. Where that cannot be told it stays as it
// was.
func (s *Store) readShards() {
	client := *s.client.Load()
	if client.Mode() != rueidis.ClientModeCluster {
		return
	}
	asks := 0
	for address, server := range client.Nodes() {
		if spans, err := s.spansBy(address, server); err == nil {
			s.arrange(spans)
			return
		}
		if asks++; asks == maxShardAsks {
			return
		}
	}
}

// spansBy asks a server of a Cluster for the slots of all masters.
func (s *Store) spansBy(address string, server rueidis.Client) (spans []span, err error) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), s.timeout/2, errSlow)
	defer cancel()
	list, err := server.Do(ctx, server.B().ClusterSlots().Build()).ToArray()
	if err != nil {
		return nil, err
	}
	for _, entry := range list {
		parts, err := entry.ToArray()
		if err != nil || len(parts) < 3 {
			return nil, errReply
		}
		next, err := readSpan(parts, address)
		if err != nil {
			return nil, err
		}
		spans = append(spans, next)
	}
	slices.SortFunc(spans, func(a, b span) int { return int(a.first - b.first) })
	return spans, nil
}

// readSpan reads one entry of what CLUSTER SLOTS returns: the first and the last slot, and
// its servers, the master first. asked is the address of who was asked.
func readSpan(parts []rueidis.RedisMessage, asked string) (s span, err error) {
	if s.first, err = parts[0].AsInt64(); err != nil {
		return s, err
	}
	if s.last, err = parts[1].AsInt64(); err != nil {
		return s, err
	}
	master, err := parts[2].ToArray()
	if err != nil || len(master) < 2 || s.first < 0 || s.last >= slots || s.first > s.last {
		return s, errReply
	}
	host, err := master[0].ToString()
	if err != nil && !rueidis.IsRedisNil(err) {
		return s, err
	}
	if host == "" { // it does not know its own address
		host, _, _ = net.SplitHostPort(asked)
	}
	port, err := master[1].AsInt64()
	s.master = net.JoinHostPort(host, strconv.FormatInt(port, 10))
	return s, err
}

// arrange has the shards be those of what a Cluster is made of now. A master that had slots
// before is the same shard still.
func (s *Store) arrange(spans []span) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.shards.Load()
	if before.of != nil && slices.Equal(before.spans, spans) {
		return
	}
	next := &shards{of: make([]uint16, slots), spans: spans}
	for at := range next.of {
		next.of[at] = next.take(before, masterOf(spans, int64(at)))
	}
	s.shards.Store(next)
}

// masterOf returns whose a slot is, empty: nobody's.
func masterOf(spans []span, slot int64) string {
	for _, s := range spans {
		if s.first <= slot && slot <= s.last {
			return s.master
		}
	}
	return ""
}

// take returns the number of a master's shard, which is that of before where there was one.
func (s *shards) take(before *shards, master string) uint16 {
	at := slices.IndexFunc(s.all, func(sh *shard) bool { return sh.name == master })
	if at >= 0 {
		return uint16(at)
	}
	sh := before.named(master)
	if sh == nil || before.of == nil {
		sh = &shard{name: master}
	}
	s.all = append(s.all, sh)
	return uint16(len(s.all) - 1)
}

// about returns an error that says which part of a Cluster it is about.
func (s *shards) about(sh *shard, err error) error {
	switch {
	case s.of == nil || !slices.Contains(s.all, sh):
		return err
	case sh.name == "":
		return fmt.Errorf("slots of the Cluster that no server has: %w", err)
	}
	return fmt.Errorf("%s, one of %d masters of the Cluster: %w", sh.name, len(s.all), err)
}
