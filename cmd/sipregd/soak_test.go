package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// soak is a daemon, its phones and all that befalls them, for a long time.
type soak struct {
	t       *testing.T
	d       *daemon
	config  *tls.Config
	metrics string // where they are
	peers   string // peers.conf but for the guests
	torture [][]byte
	phones  []*soakPhone
	disk    string // what can be filled; empty: none
	log     *heldLog
	mood    atomic.Int64 // of the webhook's server
	gate    sync.RWMutex // held by whoever does something; a rest holds it alone
	ended   atomic.Bool
	files   sync.Mutex // peers.conf
	filling sync.Mutex // the disk

	mu       sync.Mutex
	counts   map[string]int
	failures int
}

// heldLog takes the log, unless somebody holds it, and keeps its end.
type heldLog struct {
	held    sync.Mutex
	started *output // gets the first lines, up to that of the start
	last    output
	begun   bool
}

func (l *heldLog) Write(data []byte) (int, error) {
	l.held.Lock()
	defer l.held.Unlock()
	if !l.begun {
		l.begun = bytes.Contains(data, []byte("started"))
		_, _ = l.started.Write(data)
	}
	l.last.mu.Lock()
	defer l.last.mu.Unlock()
	if more := l.last.text.Len() - 64<<10; more > 0 {
		l.last.text.Next(more)
	}
	return l.last.text.Write(data)
}

// soakLength is how long a soak lasts.
func soakLength(t *testing.T) time.Duration {
	t.Helper()
	return time.Duration(numberOf(t, "SIPREGD_SOAK", 10)) * time.Second
}

// numberOf returns what the environment says, or else that.
func numberOf(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	number, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return number
}

// Phones register by all transports while faults befall the daemon at random. None is kept
// out, and nothing grows.
func TestSoak(t *testing.T) {
	length := soakLength(t)
	seed := numberOf(t, "SIPREGD_SEED", rand.Uint64())
	t.Logf("SIPREGD_SEED=%d chooses the same faults", seed)
	s := startSoak(t, seed)
	var running sync.WaitGroup
	end := func() {
		s.ended.Store(true)
		running.Wait()
		for _, p := range s.phones {
			p.hangUp()
		}
	}
	defer end() // where the test fails amid it
	for _, p := range s.phones {
		running.Go(func() { p.run() })
	}
	for i := range 4 {
		h := &hand{s, rand.New(rand.NewPCG(seed, uint64(1000+i)))}
		running.Go(h.run)
	}
	rests := s.watch(length)
	end()
	t.Logf("%v: %v", length, s.counts)
	checkGrowth(t, rests, length)
	if t.Failed() {
		t.Logf("the log ended with:\n%s", s.log.last.String())
	}
}

// startSoak runs a daemon whose memory for what has a bound fills soon.
func startSoak(t *testing.T, seed uint64) *soak {
	t.Helper()
	s := &soak{t: t, counts: map[string]int{}, torture: tortureMessages(t)}
	webhook := httptest.NewServer(http.HandlerFunc(s.takePost))
	t.Cleanup(webhook.Close)
	s.addPhones(seed)
	state := "state"
	if disk := t.TempDir(); tryToMount(t, disk) == nil {
		s.disk, state = disk, filepath.Join(disk, "state")
	}
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	s.metrics = "http://" + address + "/metrics"
	ws := netip.AddrPortFrom(loopback, uint16(freePort(t)))
	a := newAuthority(t)
	s.d = prepareSecureDaemon(t, a, nobodyTrusted+"nonce_lifetime = 20\n"+
		"[registrar]\nminimum_expiration = 1\ndisconnect_grace = 1\nqualify_frequency = 2\nqualify_timeout = 1\n"+
		"[location]\npath = "+state+"\n"+
		"[admin]\nsocket = sipregd.sock\nhttp = "+address+"\nwebhook = "+webhook.URL+"\nrecent_memory = 1\n",
		"", fmt.Sprintf("ws = %v\ntransaction_memory = 2\nmax_streams = 2000", ws))
	s.d.ws = ws
	roots := x509.NewCertPool()
	roots.AddCert(a.certificate)
	s.config = &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
	s.log = &heldLog{started: &s.d.output}
	s.d.log = s.log
	s.putPeers(nil)
	s.d.run(t)
	return s
}

func tortureMessages(t *testing.T) (messages [][]byte) {
	t.Helper()
	for _, c := range readTortureCases(t) {
		messages = append(messages, bytes.ReplaceAll(c.message, []byte("{{PORT}}"), []byte("5060")))
	}
	return messages
}

// addPhones makes the phones and their peers, eight for each transport: one of them stays
// on its stream, another one roams.
func (s *soak) addPhones(seed uint64) {
	networks := [...]string{"udp", "tcp", "tls", "ws", "wss"}
	for i := range 8 * len(networks) {
		name, round := strconv.Itoa(i), i/len(networks)
		p := &soakPhone{client: newClient(networks[i%len(networks)], "", name, "correct-horse", name), soak: s,
			random: rand.New(rand.NewPCG(seed, uint64(i))), at: netip.AddrFrom4([4]byte{127, 0, 9, byte(1 + i)}),
			stays: round == 0, roams: round == 1, outbound: i%3 == 0}
		s.phones = append(s.phones, p)
		aors := name
		if p.roams {
			aors = "*"
		}
		s.peers += fmt.Sprintf("[desk %d]\nauthname = %[1]d\nsecret = correct-horse\naorname = %s\n", i, aors)
	}
}

// begin lets somebody do something, until he unlocks the gate, and tells whether the soak
// goes on.
func (s *soak) begin() bool {
	s.gate.RLock()
	if s.ended.Load() {
		s.gate.RUnlock()
		return false
	}
	return true
}

func (s *soak) count(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[what]++
}

// fail notes what a phone or the administrator has to complain of.
func (s *soak) fail(format string, arguments ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failures++; s.failures <= 20 {
		s.t.Errorf(format, arguments...)
	}
}

// dialFrom opens a socket to where the daemon listens.
func (s *soak) dialFrom(at netip.Addr, network string) (net.Conn, error) {
	if network == "udp" {
		return net.DialUDP("udp", &net.UDPAddr{IP: at.AsSlice()}, net.UDPAddrFromAddrPort(s.d.udp))
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: at.AsSlice()}, Timeout: patience}
	return dialer.Dial("tcp", s.d.address(network))
}
