package shared

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// second is what nothing may block for. Tests are on machines that are busy: they get
// some more.
const second = 5 * time.Second

// phones register one after the other at some stores, each as fast as it can.
type phones struct {
	stopping chan struct{}
	running  sync.WaitGroup
	mu       sync.Mutex
	made     map[sipuri.AOR]uint32 // the CSeq that was acknowledged last
	failed   int
	slowest  time.Duration
}

func startPhones(count int, stores ...*Store) *phones {
	p := &phones{stopping: make(chan struct{}), made: map[sipuri.AOR]uint32{}}
	for i := range count {
		p.running.Go(func() { p.register(sipuri.AOR{User: fmt.Sprint("phone", i)}, stores) })
	}
	return p
}

func (p *phones) register(aor sipuri.AOR, stores []*Store) {
	for cseq := uint32(1); ; cseq++ {
		select {
		case <-p.stopping:
			return
		case <-time.After(time.Millisecond):
		}
		b := phone("sip:a@h", time.Now())
		b.CSeq = cseq
		began := time.Now()
		err := stores[int(cseq)%len(stores)].Update(aor, began, bind(b), nil)
		p.mu.Lock()
		p.slowest = max(p.slowest, time.Since(began))
		if err == nil {
			p.made[aor] = cseq
		} else {
			p.failed++
		}
		p.mu.Unlock()
	}
}

// failures returns how many registrations have failed.
func (p *phones) failures() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failed
}

// stop stops and checks that what was acknowledged is there.
func (p *phones) stop(t *testing.T, s *Store) {
	t.Helper()
	close(p.stopping)
	p.running.Wait()
	for aor, cseq := range p.made {
		var bindings []location.Binding
		eventually(t, "it is known what is bound", func() (known bool) {
			var stale bool
			bindings, stale = s.Lookup(aor, time.Now())
			return !stale
		})
		if len(bindings) != 1 || bindings[0].CSeq < cseq {
			t.Errorf("%s: CSeq %d was acknowledged, and there is %+v", aor, cseq, bindings)
		}
	}
	if p.slowest > second {
		t.Errorf("a registration took %v", p.slowest)
	}
	t.Logf("the slowest took %v, %d failed", p.slowest, p.failed)
}

// goesAway has Redis go away under load by gone and come back by back.
func goesAway(t *testing.T, gone, back func(), stores ...*Store) {
	p := startPhones(20, stores...)
	eventually(t, "all phones have registered at all stores", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		ready := 0
		for _, cseq := range p.made {
			if int(cseq) > len(stores) {
				ready++
			}
		}
		return ready == 20
	})
	if n := p.failures(); n > 0 {
		t.Errorf("%d registrations failed before", n)
	}
	gone()
	eventually(t, "all stores are away", func() bool {
		for _, s := range stores {
			if !s.Away() {
				return false
			}
		}
		return true
	})
	began := time.Now()
	if err := stores[0].Update(alice, began, removeAll, nil); !errors.Is(err, location.ErrNotDurable) {
		t.Errorf("while Redis is away: %v", err)
	}
	if bindings, stale := stores[0].Lookup(sipuri.AOR{User: "phone1"}, time.Now()); !stale || len(bindings) != 1 {
		t.Errorf("what was seen last: %v, stale %v", bindings, stale)
	}
	if took := time.Since(began); took > second {
		t.Errorf("while Redis is away an answer took %v", took)
	}
	back()
	eventually(t, "all stores are back", func() bool {
		for _, s := range stores {
			if s.Stale() {
				return false
			}
		}
		return true
	})
	eventually(t, "phones register again", func() bool {
		before := p.failures()
		time.Sleep(300 * time.Millisecond)
		return p.failures() == before
	})
	p.stop(t, stores[0])
}

func TestRedisIsKilledAndRestarted(t *testing.T) {
	redis := startServer(t, "--appendonly", "yes", "--appendfsync", "always")
	one, w := openBrief(t, redis.url(), "one")
	two, _ := openBrief(t, redis.url(), "two")
	goesAway(t, redis.kill, redis.start, one, two)
	if away, back := w.seen(); len(away) == 0 || back == 0 {
		t.Errorf("node one was told %v and %d times that Redis is back", away, back)
	}
}

func TestRedisIsPaused(t *testing.T) {
	redis := startServer(t)
	one, _ := openBrief(t, redis.url(), "one")
	two, _ := openBrief(t, redis.url(), "two")
	goesAway(t, func() { redis.signal(syscall.SIGSTOP) }, func() {
		time.Sleep(3 * time.Second)
		redis.signal(syscall.SIGCONT)
	}, one, two)
}

func TestRedisIsAwayAtTheStart(t *testing.T) {
	redis := startServer(t)
	redis.kill()
	began := time.Now()
	one, w := openBrief(t, redis.url(), "one")
	if took := time.Since(began); took > 2*second {
		t.Errorf("it took %v to open", took)
	}
	if away, _ := w.seen(); len(away) != 1 || !one.Stale() || one.Status().Failure == nil {
		t.Errorf("told %v, stale %v, %v", away, one.Stale(), one.Status())
	}
	if bindings, stale := one.Lookup(alice, time.Now()); len(bindings) > 0 || !stale {
		t.Error(bindings, stale)
	}
	redis.start()
	eventually(t, "the store is back", func() bool { return !one.Stale() })
	update(t, one, alice, time.Now(), bind(phone("sip:a@h", time.Now())))
	if _, back := w.seen(); back != 1 {
		t.Errorf("told %d times that Redis is back", back)
	}
}

// TestTheCauseIsThatOfNow has Redis be away for another reason than it was at first.
func TestTheCauseIsThatOfNow(t *testing.T) {
	redis := startServer(t)
	one, _ := openBrief(t, redis.url(), "one")
	redis.signal(syscall.SIGSTOP)
	eventually(t, "the store is away", one.Stale)
	before := one.Status()
	redis.kill()
	redis.arguments = []string{"--requirepass", "x"}
	redis.start()
	eventually(t, "the cause is another one", func() bool { return strings.Contains(fmt.Sprint(one.Status().Failure), "NOAUTH") })
	if now := one.Status(); !now.Since.Equal(before.Since) {
		t.Errorf("it was away since %v, and is since %v", before.Since, now.Since)
	}
}

// TestRedisTakesNoWrites has Redis answer errors that mean it is away.
func TestRedisTakesNoWrites(t *testing.T) {
	for name, arguments := range map[string][2][]string{
		"read only": {{"REPLICAOF", "127.0.0.1", "1"}, {"REPLICAOF", "NO", "ONE"}},
		"full":      {{"CONFIG", "SET", "maxmemory", "1"}, {"CONFIG", "SET", "maxmemory", "0"}},
		"no access": {{"ACL", "SETUSER", "default", "-pexpireat", "-pexpire"}, {"ACL", "SETUSER", "default", "+@all"}},
	} {
		t.Run(name, func(t *testing.T) {
			redis := startServer(t)
			one, w := openBrief(t, redis.url(), "one")
			defer func() { t.Log(w.trouble) }()
			goesAway(t, func() { redis.cli(arguments[0]...) }, func() {
				time.Sleep(time.Second)
				redis.cli(arguments[1]...)
			}, one)
			if away, back := w.seen(); len(away) == 0 || back == 0 {
				t.Errorf("told that it is away: %v, back %d times", away, back)
			}
		})
	}
}

// TestAStrangeKeyIsItsOwnTrouble has one AOR's key hold something else.
func TestAStrangeKeyIsItsOwnTrouble(t *testing.T) {
	redis := startServer(t)
	one, w := openBrief(t, redis.url(), "one")
	redis.cli("SET", keyOf(alice), "x")
	if err := one.Update(alice, time.Now(), bind(phone("sip:a@h", time.Now())), nil); !errors.Is(err, location.ErrNotDurable) {
		t.Error(err)
	}
	if one.Stale() || len(w.trouble) != 1 {
		t.Errorf("stale %v, trouble %v", one.Stale(), w.trouble)
	}
}

// TestTroubleOfOneAORIsItsOwn has all that one AOR asks for fail, while others go on.
func TestTroubleOfOneAORIsItsOwn(t *testing.T) {
	redis := startServer(t)
	one, w := openBrief(t, redis.url(), "one")
	bob := sipuri.AOR{User: "bob"}
	redis.cli("ACL", "SETUSER", "default", "resetkeys", "~k:*", "~"+keyOf(bob))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 100 {
				if err := one.Update(alice, time.Now(), bind(phone("sip:a@h", time.Now())), nil); !errors.Is(err, location.ErrNotDurable) {
					t.Error(err)
				}
			}
		})
	}
	all.Go(func() {
		for range 400 {
			if err := one.Update(bob, time.Now(), bind(phone("sip:b@h", time.Now())), nil); err != nil {
				t.Error(err)
			}
		}
	})
	all.Wait()
	if away, _ := w.seen(); len(away) > 0 || one.Stale() {
		t.Errorf("told %v, stale %v", away, one.Stale())
	}
}

// TestManyFailuresAreProofEnough has all fail but what Redis is tried with.
func TestManyFailuresAreProofEnough(t *testing.T) {
	redis := startServer(t)
	one, w := openBrief(t, redis.url(), "one")
	redis.cli("ACL", "SETUSER", "default", "resetkeys", "~k:*")
	p := startPhones(several, one)
	eventually(t, "Redis is away", func() bool { away, _ := w.seen(); return len(away) > 0 })
	redis.cli("ACL", "SETUSER", "default", "allkeys")
	eventually(t, "Redis is back", func() bool { return !one.Stale() })
	eventually(t, "phones register again", func() bool {
		before := p.failures()
		time.Sleep(300 * time.Millisecond)
		return p.failures() == before
	})
	p.stop(t, one)
}

// TestNobodyWaitsForOthersWithoutEnd has many change an AOR while a change of it takes its time.
func TestNobodyWaitsForOthersWithoutEnd(t *testing.T) {
	redis := startServer(t)
	one, _ := openBrief(t, redis.url(), "one")
	update(t, one, alice, time.Now(), bind(phone("sip:a@h", time.Now())))
	begun, ran := make(chan struct{}), make(chan struct{}, 100)
	var all sync.WaitGroup
	all.Go(func() {
		_ = one.Update(alice, time.Now(), func(current []location.Binding) ([]location.Binding, error) {
			close(begun)
			time.Sleep(2 * defaultTimeout)
			return current, nil
		}, nil)
	})
	<-begun
	for range 10 {
		all.Go(func() {
			err := one.Update(alice, time.Now(), func(current []location.Binding) ([]location.Binding, error) {
				ran <- struct{}{}
				return current, nil
			}, nil)
			if !errors.Is(err, location.ErrNotDurable) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if len(ran) > 0 {
		t.Errorf("%d changes were run though their time was over", len(ran))
	}
	if one.Stale() {
		t.Error("Redis counts as away")
	}
}

// TestWhatIsOwedIsRemoved has bindings end while Redis is away.
func TestWhatIsOwedIsRemoved(t *testing.T) {
	redis := startServer(t)
	one, _ := openBrief(t, redis.url(), "one")
	update(t, one, alice, time.Now(), bind(phone("sip:a@h", time.Now())))
	redis.signal(syscall.SIGSTOP)
	eventually(t, "the store is away", one.Stale)
	ended := make(chan string, 10)
	for range 3 {
		one.RemoveIf(func(sipuri.AOR, *location.Binding) bool { return true },
			func(_ sipuri.AOR, b *location.Binding) { ended <- b.Contact })
	}
	if n := one.Numbers().Owed; n != 1 || len(ended) != 0 {
		t.Errorf("%d are owed, %d ended", n, len(ended))
	}
	one.mu.Lock()
	if removals := one.owed[alice]; len(removals) != 1 {
		t.Errorf("of one AOR %d removals are owed", len(removals))
	}
	one.mu.Unlock()
	redis.signal(syscall.SIGCONT)
	select {
	case contact := <-ended:
		if contact != "sip:a@h" || len(one.Bindings(alice, time.Now())) != 0 {
			t.Error(contact)
		}
	case <-time.After(patience):
		t.Error("it was not removed")
	}
}

// TestWhatIsNotRememberedIsOwedToo has Redis away when bindings of an earlier life end.
func TestWhatIsNotRememberedIsOwedToo(t *testing.T) {
	redis := startServer(t)
	before, _ := openBrief(t, redis.url(), "one")
	update(t, before, alice, time.Now(), bind(phone("sip:a@h", time.Now())))
	one, _ := openBrief(t, redis.url(), "one")
	redis.signal(syscall.SIGSTOP)
	eventually(t, "the store is away", one.Stale)
	if err := one.Adopt(); err == nil {
		t.Error("what is away is known")
	}
	one.RemoveIf(func(sipuri.AOR, *location.Binding) bool { return true }, nil)
	redis.signal(syscall.SIGCONT)
	eventually(t, "the binding is removed", func() bool { return redis.cli("EXISTS", keyOf(alice)) == "0" })
}

// TestAllThatIsOwedIsOneScan has more removals than are remembered end while Redis is away.
func TestAllThatIsOwedIsOneScan(t *testing.T) {
	redis := startServer(t)
	before, _ := openBrief(t, redis.url(), "one")
	update(t, before, alice, time.Now(), bind(phone("sip:a@h", time.Now())))
	one, w := openBrief(t, redis.url(), "one")
	redis.signal(syscall.SIGSTOP)
	eventually(t, "the store is away", one.Stale)
	ended := make(chan int, maxPicks+1)
	for i := range maxPicks + 1 {
		one.RemoveIf(func(sipuri.AOR, *location.Binding) bool { return i >= maxPicks-1 },
			func(sipuri.AOR, *location.Binding) { ended <- i })
	}
	if len(w.trouble) != 1 || !errors.Is(w.trouble[0], errPicks) {
		t.Errorf("told %v", w.trouble)
	}
	redis.signal(syscall.SIGCONT)
	select {
	case by := <-ended:
		if scans := redis.scans(); by != maxPicks-1 || scans != 1 {
			t.Errorf("removed by call %d, after %d scans", by, scans)
		}
	case <-time.After(patience):
		t.Error("it was not removed")
	}
}

// TestMuchIsOwed has more bindings to remove than can be one after the other, and a store
// that is closed meanwhile.
func TestMuchIsOwed(t *testing.T) {
	redis := startServer(t)
	one, err := Open(Options{URL: redis.slowly(50 * time.Millisecond), Node: "one", Observer: &watcher{}})
	if err != nil || one.Stale() {
		t.Fatal(err)
	}
	const few, many = 400, 50_000
	owe := func(count int) {
		for i := range count {
			one.owe(sipuri.AOR{User: fmt.Sprint(i)}, []removal{{id: 1}})
		}
		one.resume()
	}
	before, began := one.Numbers().Operations, time.Now()
	owe(few)
	eventually(t, "what is owed is removed", func() bool { return one.Numbers().Operations >= before+few })
	if took := time.Since(began); took > few*50*time.Millisecond/2 {
		t.Errorf("it took %v", took)
	}
	owe(many)
	began = time.Now()
	_ = one.Close()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the store took %v to close", took)
	}
}

// TestSentinel has a master fail, and Sentinels that make its replica the master.
func TestSentinel(t *testing.T) {
	master := startServer(t)
	replica := startServer(t, "--replicaof", "127.0.0.1 "+fmt.Sprint(master.port))
	eventually(t, "the replica follows", func() bool { return strings.Contains(replica.said("INFO", "replication"), "master_link_status:up") })
	var urls []string
	for range 3 {
		urls = append(urls, startSentinel(t, master).address())
	}
	one, _ := openBrief(t, "redis://"+strings.Join(urls, ",")+"/0?master_set=mymaster", "one")
	two, _ := openBrief(t, "redis://"+strings.Join(urls, ",")+"/0?master_set=mymaster", "two")
	if one.Stale() {
		t.Fatal(one.Status())
	}
	p := startPhones(20, one, two)
	time.Sleep(300 * time.Millisecond)
	master.kill()
	eventually(t, "the replica is the master", func() bool { return strings.Contains(replica.said("INFO", "replication"), "role:master") })
	eventually(t, "the nodes are back", func() bool { return !one.Stale() && !two.Stale() })
	time.Sleep(300 * time.Millisecond)
	if replica.cli("EXISTS", "b:{phone1}") != "1" {
		t.Error("the new master is not written to")
	}
	close(p.stopping)
	p.running.Wait()
	if p.slowest > second || p.failed == 0 {
		t.Errorf("the slowest took %v, %d failed", p.slowest, p.failed)
	}
}

// startSentinel starts a Sentinel that watches a master.
func startSentinel(t *testing.T, master *server) *server {
	t.Helper()
	s := &server{t: t, port: freePort(t), directory: t.TempDir()}
	file := filepath.Join(s.directory, "sentinel.conf")
	text := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\nlogfile %s/log\nsentinel monitor mymaster 127.0.0.1 %d 2\n"+
		"sentinel down-after-milliseconds mymaster 500\nsentinel failover-timeout mymaster 3000\n", s.port, s.directory, s.directory, master.port)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.run("redis-server", []string{file, "--sentinel"})
	t.Cleanup(s.kill)
	s.wait("+PONG")
	eventually(t, "the Sentinel sees the replica", func() bool { return strings.Contains(s.cli("SENTINEL", "master", "mymaster"), "num-slaves\n1") })
	return s
}

// leastRights are those that url.go names.
const leastRights = "+evalsha +eval +hmget +hset +hdel +hgetall +del +pexpireat +pttl +time " +
	"+set +get +scan +role +ping +hello +client|setname +cluster|slots +cluster|shards"

func TestLeastRights(t *testing.T) {
	redis := startServer(t)
	redis.cli(append([]string{"ACL", "SETUSER", "sipregd", "on", ">pass/word", "resetkeys", "~b:*", "~k:*", "-@all"}, strings.Fields(leastRights)...)...)
	redis.cli("ACL", "SETUSER", "default", "off", "nopass") // answers no PING any more
	url := "redis://sipregd:pass%2Fword@" + redis.address() + "/0"
	one, w := openWith(t, Options{URL: url, Node: "one"})
	if one.Stale() {
		t.Fatal(w.notDurable)
	}
	use := location.Use{Issued: 100, Number: 7, Count: 1}
	if err := one.UpdateProved(alice, time.Now(), use, bind(phone("sip:a@h", time.Now())), nil); err != nil {
		t.Error(err)
	}
	found := 0
	for range one.All() {
		found++
	}
	if _, err := one.Secret(t.Context(), "nonce", [32]byte{1}); err != nil || found != 1 {
		t.Error(err, found)
	}
	if err := one.UpdateProved(alice, time.Now(), location.Use{Issued: 101, Number: 8, Count: 1}, removeAll, nil); err != nil {
		t.Error(err)
	}
	if away, _ := w.seen(); len(away) > 0 || len(w.trouble) > 0 {
		t.Error(away, w.trouble)
	}
	other, _ := openBrief(t, strings.Replace(url, "pass", "wrong", 1), "two")
	if !other.Stale() || strings.Contains(fmt.Sprint(other.Status().Failure), "wrong") {
		t.Errorf("with a wrong password: %v", other.Status())
	}
}

func TestTLS(t *testing.T) {
	directory := t.TempDir()
	certificate, key := makeCertificate(t, directory)
	port := freePort(t)
	startServer(t, "--tls-port", fmt.Sprint(port), "--tls-cert-file", certificate, "--tls-key-file", key,
		"--tls-ca-cert-file", certificate, "--tls-auth-clients", "yes")
	own := "certificate=" + certificate + "&private_key=" + key
	for parameters, works := range map[string]bool{
		"?ca=" + certificate + "&" + own: true,
		"?skip_verify=true&" + own:       true,
		"?" + own:                        false,
		"?ca=" + certificate:             false,
	} {
		one, _ := openBrief(t, fmt.Sprintf("rediss://127.0.0.1:%d/0%s", port, parameters), "one")
		if one.Stale() == works {
			t.Errorf("%s: %v", parameters, one.Status().Failure)
		}
		if works {
			update(t, one, alice, time.Now(), bind(phone("sip:a@h", time.Now())))
		}
	}
}

func makeCertificate(t *testing.T, directory string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyRaw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, bytes []byte) string {
		path := filepath.Join(directory, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("certificate.pem", "CERTIFICATE", raw), write("key.pem", "PRIVATE KEY", keyRaw)
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	startServer(t, "--unixsocket", path)
	one, _ := openBrief(t, "unix://"+path+"?db=3", "one")
	update(t, one, alice, time.Now(), bind(phone("sip:a@h", time.Now())))
}

func TestURLs(t *testing.T) {
	for _, url := range []string{
		"", "redis://", "http://h", "redis://h:pa ss@h", "redis://name:secret@h:6379/x", "redis://:secret@h/0?masterset=x",
		"unix://h/path", "redis://name:secret@h:port/0", "rediss://name:secret@h/0?ca=/nowhere/secret.pem", "://",
	} {
		_, err := parse(url)
		if err == nil {
			t.Errorf("%q is taken", url)
		} else if text := err.Error(); strings.Contains(text, "name:secret") || strings.Contains(text, ":secret@") {
			t.Errorf("%q: the error repeats it: %v", url, err)
		}
	}
	option, err := parse("rediss://name:p%40ss@h1,h2:7000/2?master_set=m&sentinel_password=s&server_name=x&skip_verify=true")
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(option.InitAddress, option.Username, option.Password, option.SelectDB, option.Sentinel.MasterSet,
		option.Sentinel.Password, option.TLSConfig.ServerName, option.TLSConfig.InsecureSkipVerify)
	if want := "[h1:6379 h2:7000]name p@ss 2m s x true"; strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
		t.Errorf("%s, not %s", got, want)
	}
}
