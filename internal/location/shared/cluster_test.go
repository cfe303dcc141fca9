package shared

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// startCluster starts a Cluster of three masters with as many replicas each, with those
// settings, and returns them, the masters first, and the URL of it.
func startCluster(t *testing.T, replicas int, settings ...string) (servers []*server, url string) {
	t.Helper()
	create := []string{"--cluster", "create"}
	for range 3 + 3*replicas {
		s := startServer(t, append([]string{"--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--appendonly", "yes", "--appendfsync", "always"}, settings...)...)
		servers = append(servers, s)
		create = append(create, s.address())
	}
	if out, err := exec.Command("redis-cli", append(create, "--cluster-replicas", fmt.Sprint(replicas), "--cluster-yes")...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	eventually(t, "the Cluster is there", func() bool {
		for _, s := range servers {
			if !strings.Contains(s.said("CLUSTER", "INFO"), "cluster_state:ok") {
				return false
			}
		}
		return true
	})
	return servers, "redis://" + servers[0].address() + "," + servers[1].address()
}

// TestCluster has three masters and kills one of them, without which the others do nothing,
// and which comes back.
func TestCluster(t *testing.T) {
	servers, url := startCluster(t, 0)
	one, _ := openBrief(t, url, "one")
	two, _ := openBrief(t, url, "two")
	const count = 100
	for i := range count {
		for _, s := range []*Store{one, two} { // a Cluster that has just begun may still be slow
			eventually(t, "a phone registers", func() bool {
				return s.Update(sipuri.AOR{User: fmt.Sprint(i)}, time.Now(), bind(phone("sip:a@h", time.Now())), nil) == nil
			})
		}
	}
	for _, s := range servers {
		if s.cli("DBSIZE") == "0" {
			t.Error("a node of the Cluster has nothing")
		}
	}
	found := 0
	for range one.All() {
		found++
	}
	if found != count {
		t.Errorf("%d AORs were found", found)
	}
	for i := range count {
		if versionOf(t, one, sipuri.AOR{User: fmt.Sprint(i)}) == "" {
			t.Errorf("%d has no version", i)
		}
	}
	goesAway(t, servers[2].kill, servers[2].start, one, two)
}

// TestAMasterOfAClusterIsLost has one of three masters go away under load. Phones of the
// others go on, its own are told so at once, and come back with it.
func TestAMasterOfAClusterIsLost(t *testing.T) {
	for name, harm := range map[string]struct{ gone, back func(*server) }{
		"killed": {(*server).kill, (*server).start},
		"paused": {
			func(s *server) { s.signal(syscall.SIGSTOP) }, func(s *server) { s.signal(syscall.SIGCONT) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			servers, url := startCluster(t, 0, "--cluster-require-full-coverage", "no")
			one, w := openWith(t, Options{URL: url, Node: "one", Timeout: 2 * time.Second}) // which a busy machine keeps
			harmed, others := partition(one, servers[2], 30)
			load := startLoad(one, others, harmed)
			eventually(t, "all have registered", func() bool { return load.haveMade(len(others) + len(harmed)) })

			load.forget()
			harm.gone(servers[2])
			var told []error
			eventually(t, "the master is away", func() bool {
				told, _ = w.seen()
				return len(told) > 0
			})
			if one.Away() || !one.Stale() || !one.StaleOf(harmed[0]) || one.StaleOf(others[0]) {
				t.Error("all of Redis is away, or nothing")
			}
			if versions, err := one.Versions(t.Context(), others); err != nil || slices.Contains(versions, "") {
				t.Errorf("%v: versions %q", err, versions)
			}
			if len(told) != 1 || !strings.Contains(told[0].Error(), servers[2].address()) {
				t.Errorf("told %v", told)
			}
			failed := load.failures(others)
			load.forget()
			eventually(t, "the others register on", func() bool { return load.haveMade(len(others)) })
			began := time.Now()
			for range 100 {
				for _, aor := range harmed {
					if err := one.Update(aor, time.Now(), removeAll, nil); !errors.Is(err, location.ErrNotDurable) {
						t.Fatal(err)
					}
				}
			}
			if took := time.Since(began); took > second {
				t.Errorf("what is refused waits: %v", took)
			}
			if bindings, stale := one.Lookup(harmed[0], time.Now()); !stale || len(bindings) != 1 {
				t.Errorf("what was seen last: %v, stale %v", bindings, stale)
			}
			found := map[sipuri.AOR]bool{}
			for aor := range one.All() {
				found[aor] = true
			}
			if len(found) != len(others)+len(harmed) {
				t.Errorf("%d AORs were found", len(found))
			}
			if again := load.failures(others); failed+again > 0 {
				t.Errorf("of AORs elsewhere %d registrations failed, and %d once the master was away", failed, again)
			}

			harm.back(servers[2])
			eventually(t, "the master is back", func() bool {
				_, back := w.seen()
				return back > 0
			})
			load.forget()
			eventually(t, "all register again", func() bool { return load.haveMade(len(others) + len(harmed)) })
			load.stop()
			if status := one.Status(); status.Failure != nil || !status.Since.IsZero() {
				t.Errorf("%+v", status)
			}
			if _, back := w.seen(); back != 1 || one.Stale() {
				t.Errorf("told %d times that it is back, stale %v", back, one.Stale())
			}
			t.Logf("the slowest took %v", load.slowest)
		})
	}
}

// TestAReplicaTakesOver has a master go for good, whose replica takes its slots.
func TestAReplicaTakesOver(t *testing.T) {
	servers, url := startCluster(t, 1)
	for _, s := range servers[3:] {
		eventually(t, "the replica follows", func() bool { return strings.Contains(s.said("INFO", "replication"), "master_link_status:up") })
	}
	one, w := openBrief(t, url, "one")
	harmed, others := partition(one, servers[0], 10)
	load := startLoad(one, harmed, others)
	eventually(t, "all have registered", func() bool { return load.haveMade(len(others) + len(harmed)) })
	servers[0].kill()
	eventually(t, "the master is away", func() bool {
		told, _ := w.seen()
		return len(told) > 0
	})
	load.forget()
	eventually(t, "all register again", func() bool { return load.haveMade(len(others) + len(harmed)) })
	load.stop()
	eventually(t, "its slots are those of another shard", func() bool { return one.shards.Load().named(servers[0].address()) == nil })
	eventually(t, "nothing is away", func() bool { return !one.Stale() && one.Status() == Status{} })
}

// TestShardsAreReadAgain moves slots to another master.
func TestShardsAreReadAgain(t *testing.T) {
	servers, url := startCluster(t, 0)
	one, _ := openBrief(t, url, "one")
	before := one.shards.Load()
	if len(before.all) != 3 {
		t.Fatalf("%d shards", len(before.all))
	}
	moved := -1 // a slot of the first master that is empty
	for slot := range slots {
		if before.all[before.of[slot]].name == servers[0].address() {
			moved = slot
			break
		}
	}
	id := servers[1].cli("CLUSTER", "MYID")
	for _, s := range []*server{servers[1], servers[0], servers[2]} {
		s.cli("CLUSTER", "SETSLOT", fmt.Sprint(moved), "NODE", id)
	}
	eventually(t, "the slot is the other one's", func() bool {
		now := one.shards.Load()
		return now.all[now.of[moved]].name == servers[1].address()
	})
	now := one.shards.Load()
	for _, sh := range before.all {
		if now.named(sh.name) != sh {
			t.Errorf("%s is another shard now", sh.name)
		}
	}
}

// partition returns AORs that a server of a Cluster holds, and as many of others. None shares
// a stripe with another one, whose change it would wait for.
func partition(s *Store, holder *server, count int) (held, others []sipuri.AOR) {
	shards, stripes := s.shards.Load(), map[*stripe]bool{}
	for i := 0; len(held) < count || len(others) < count; i++ {
		aor := sipuri.AOR{User: fmt.Sprint("phone", i)}
		stripe, _ := s.seen.of(aor)
		if stripes[stripe] {
			continue
		}
		stripes[stripe] = true
		list := &others
		if shards.ofKey(keyOf(aor)).name == holder.address() {
			list = &held
		}
		if len(*list) < count {
			*list = append(*list, aor)
		}
	}
	return held, others
}

// load is AORs that are registered again and again.
type load struct {
	stopping chan struct{}
	running  sync.WaitGroup
	mu       sync.Mutex
	made     map[sipuri.AOR]bool
	failed   map[sipuri.AOR]int
	slowest  time.Duration
}

func startLoad(s *Store, lists ...[]sipuri.AOR) *load {
	l := &load{stopping: make(chan struct{}), made: map[sipuri.AOR]bool{}, failed: map[sipuri.AOR]int{}}
	for _, list := range lists {
		for _, aor := range list {
			l.running.Go(func() { l.register(s, aor) })
		}
	}
	return l
}

func (l *load) register(s *Store, aor sipuri.AOR) {
	for {
		select {
		case <-l.stopping:
			return
		case <-time.After(5 * time.Millisecond):
		}
		began := time.Now()
		err := s.Update(aor, began, bind(phone("sip:a@h", began)), nil)
		l.mu.Lock()
		l.slowest = max(l.slowest, time.Since(began))
		if err == nil {
			l.made[aor] = true
		} else {
			l.failed[aor]++
		}
		l.mu.Unlock()
	}
}

// haveMade tells whether as many AORs were registered.
func (l *load) haveMade(count int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.made) >= count
}

// failures returns how many registrations of these have failed.
func (l *load) failures(aors []sipuri.AOR) (failed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, aor := range aors {
		failed += l.failed[aor]
	}
	return failed
}

// forget begins anew.
func (l *load) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.made)
	clear(l.failed)
}

func (l *load) stop() {
	close(l.stopping)
	l.running.Wait()
}
