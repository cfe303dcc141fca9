// Package shared keeps bindings in Redis or Valkey for many nodes at once: any
// phone may register at any of them, and none of them owns an AOR.
//
// What an AOR is bound to is one hash, which others may read:
//
//	key   b:{2001@example.com}
//	v     1732644616123456-k3j2h1g0    its version, unlike any other ever
//	r     …                            the nonces used last, see below
//	<ID>  1732648216123 {"contact":…}  a binding
//
// The key holds the AOR in braces, which keep the hash of an AOR in one slot of a
// Cluster: its user part, and @ and its domain where it has one. Of both, what is no
// letter, digit or one of -_.!~*'()+&=$,;:?/[]#^| is written as %HH.
//
// A binding stands under its ID, a decimal number: when it expires, in ms since 1970
// by Redis's own clock, a space, and a JSON object with the keys of record in
// record.go, without those that are empty. One that has expired is none, though it may
// stand there for a while: the hash itself expires half a minute after its last
// binding, so that the node that took a binding can tell that it ended.
//
// r says until when it has to be kept (in ms since 1970), up to when nonces were
// forgotten, and of those used last their number in base 36, time of issue, and highest
// count: "1732644916123 0 1f:1732644610:3". It outlives the bindings, and the hash with it.
//
// A change is one script, which compares v with what the node has seen and writes
// nothing where another node was quicker.
//
// Other keys are
//
//	k:<name>                             a secret that nodes share, 64 hexadecimal digits
//	k:use:{<number>-<issued>-<count>}    a use of a nonce, in base 36, by who may bind several
//	                                     AORs: an empty string, which expires as r does
//	k:node:<name>                        a number of the node's that has that name, for seconds
//	k:probe:{<part of another key>}      a hash that is written to see whether Redis takes
//	                                     writes, there where that other key is
//
// What fails is a part of Redis (shard): the master of a Cluster, or all there is. While it
// is away changes of its AORs fail at once, and those of others go on.
package shared

import (
	"cmp"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// Options say how a store is run.
type Options struct {
	// URL names the server, see parse in url.go:
	// redis://name:password@host:6379/0, rediss:// for TLS, unix:///path/of/socket.
	URL      string
	Node     string // name of this node, unlike that of any other
	Observer Observer
	// Timeout bounds how long a change may take; 0: 500 ms.
	Timeout time.Duration
	// NonceLifetime is how long a nonce may be used, and so how long its uses are
	// remembered at least; 0: 5 minutes.
	NonceLifetime time.Duration
	// Remembered bounds the AORs of which this node keeps what it saw last; 0: 1,000,000.
	Remembered int
}

const (
	// defaultTimeout is T1 (RFC 3261 §17.1.1.1), after which phones ask again.
	defaultTimeout = 500 * time.Millisecond

	defaultNonceLifetime = 5 * time.Minute
	defaultRemembered    = 1_000_000

	// serialSpare is how many bits of a serial are left out, so that versions are short.
	serialSpare = 16
)

// Observer is told what happens to a store. Its methods must not block.
type Observer interface {
	// NotDurable is called when Redis is away, or a master of a Cluster, and every few
	// seconds while that lasts. No AOR's bindings wait to be saved.
	NotDurable(cause error, aors int)
	// Durable is called when that is back, after so long. all: nothing else is away.
	Durable(after time.Duration, all bool)
	// Committed is called once the bindings of that many AORs are in Redis.
	Committed(took time.Duration, aors int)
	// Trouble is called for what is got over without a change that fails.
	Trouble(error)
	// SecretTrouble is called where what stands under the key of a secret that nodes share
	// is another one than this node has (ErrSecretChanged), or none.
	SecretTrouble(key string, cause error)
}

// Store keeps bindings in Redis. It may be used by many goroutines at once: what
// they do at once shares a pipeline.
type Store struct {
	node      string
	observer  Observer
	timeout   time.Duration
	lifetime  time.Duration // of a nonce
	option    rueidis.ClientOption
	client    atomic.Pointer[rueidis.Client] // nil: Redis was never reached
	scripts   scripts
	clock     *clock
	deadlines deadlines
	closer    deadlines // of operations on a shard that may be away
	seen      *seen
	serial    atomic.Uint64 // of the last version written

	shards atomic.Pointer[shards]

	mu       sync.Mutex
	lost     []*shard  // those that are away, in the order in which they went
	since    time.Time // when the first of them did
	reminded time.Time
	secrets  map[string][32]byte // that were got
	told     map[string]string   // what was told of them last
	owed     map[sipuri.AOR][]removal
	picks    []pick // that did not get through all of Redis

	twins twins

	adopted atomic.Bool // what this node has bound in earlier lives is known

	stopping chan struct{}
	closing  atomic.Bool // changes fail: those who make many leave
	running  sync.WaitGroup
	ending   atomic.Bool // Expire is at work

	operations, conflicts, failures, replayed atomic.Uint64
}

var _ location.Store = (*Store)(nil)

// Open returns a store. Where Redis is away it is one that is away, and heals once
// Redis is there. It fails where the URL or what it names is no good.
func Open(options Options) (*Store, error) {
	timeout := cmp.Or(options.Timeout, defaultTimeout)
	option, err := clientOption(options.URL, options.Node, timeout)
	if err != nil {
		return nil, err
	}
	clock := newClock()
	s := &Store{
		node: options.Node, observer: options.Observer, timeout: timeout, option: option,
		lifetime: cmp.Or(options.NonceLifetime, defaultNonceLifetime),
		scripts:  newScripts(), clock: clock, deadlines: deadlines{timeout: timeout}, closer: deadlines{timeout: timeout / 2},
		seen:    newSeen(clock, cmp.Or(options.Remembered, defaultRemembered)),
		secrets: map[string][32]byte{}, told: map[string]string{}, owed: map[sipuri.AOR][]removal{},
		stopping: make(chan struct{}),
	}
	s.serial.Store(rand.Uint64() >> serialSpare)
	s.twins.life = rand.Uint64()
	s.shards.Store(wholeRedis())
	s.start()
	s.running.Add(1)
	go s.watch()
	return s, nil
}

// start looks for Redis for the first time, and says so where it is not there. Of a Cluster
// it then knows the masters: each is away until it shows that it is there.
func (s *Store) start() {
	err := s.probe(s.shards.Load().all[0], s.timeout)
	if err == nil {
		return
	}
	for _, sh := range s.shards.Load().all {
		sh.suspect.Store(true)
		s.lose(sh, err)
		s.running.Go(func() { s.nurse(sh) })
	}
}

// Close ends the connections. Changes fail from then on.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closing.Store(true)
	s.mu.Unlock()
	close(s.stopping)
	s.running.Wait()
	if client := s.client.Load(); client != nil {
		(*client).Close()
	}
	return nil
}

// newID returns the ID of a new binding: nodes do not agree on IDs, they do not happen
// to give the same one.
func (s *Store) newID() uint64 { return rand.Uint64()>>1 | 1<<62 }

// Begin has nothing to mark: what Update has changed is in Redis.
func (s *Store) Begin() location.Mark { return 0 }

// Commit has nothing to wait for.
func (s *Store) Commit(location.Mark) error { return nil }

// Numbers counts what a store has done.
type Numbers struct {
	Operations uint64 // scripts that were run and hashes that were read
	Conflicts  uint64 // changes that were run again, as another node was quicker
	Errors     uint64 // operations that failed
	Replayed   uint64 // changes that were refused with location.ErrReplayed
	Remembered int    // AORs of which this node keeps what it saw last
	Owed       int    // AORs with bindings that are to be removed once Redis is back
}

// Numbers returns what the store has done up to now.
func (s *Store) Numbers() Numbers {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Numbers{
		s.operations.Load(), s.conflicts.Load(), s.failures.Load(), s.replayed.Load(),
		int(s.seen.count.Load()), len(s.owed),
	}
}
