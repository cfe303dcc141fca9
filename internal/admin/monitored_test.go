package admin_test

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"sipregd/internal/admin"
	"sipregd/internal/admin/api"
	"sipregd/internal/digest"
	"sipregd/internal/guard"
	"sipregd/internal/journal"
	"sipregd/internal/location/durable"
	"sipregd/internal/peers"
	"sipregd/internal/qualify"
	"sipregd/internal/regevent"
	"sipregd/internal/registrar"
	"sipregd/internal/stun"
	"sipregd/internal/transaction"
	"sipregd/internal/transport"
)

// monitored is all of a daemon that has metrics: sockets, disk and all. What a test
// cannot make happen from outside it adds to.
type monitored struct {
	t         *testing.T
	metrics   *admin.Metrics
	registrar *registrar.Registrar
	recorder  *journal.Recorder
	guard     *guard.Guard
	store     *durable.Store
	disk      brokenDisk
	requests  func(time.Time) transaction.Counts
	udp, tcp  string
	phone     net.Conn
	options   peers.Options
	cseq      int

	moreAtSockets transport.Counts
	calls         transaction.Counts // just what there is of calls
	stun          stun.Keepalives
	webhook       api.Webhook
	shared        admin.SharedCounts
	qualified     qualify.Counts // what the qualifier says
	subscribed    regevent.Counts
}

const monitoredPeers = `
[Kitchen]
authname = 7f3a9c
secret = secret
aorname = 2001
max_contacts = 1
`

// transactionMemory is so little that hundreds of requests fill it.
const transactionMemory = 128 << 10

// noLog takes down nothing.
type noLog struct{}

func (noLog) Record(journal.Event)                    {}
func (noLog) Wants(journal.Kind, journal.Reason) bool { return false }

// commitsOnly is the observer of a store that passes on commits.
type commitsOnly struct{ *admin.Metrics }

func (commitsOnly) Reading(int)               {}
func (commitsOnly) Loaded(int, time.Duration) {}
func (commitsOnly) Damaged(durable.Damage)    {}
func (commitsOnly) NotDurable(error, int)     {}
func (commitsOnly) Durable(time.Duration)     {}
func (commitsOnly) Trouble(error)             {}

// brokenDisk fails while it is on.
type brokenDisk struct{ on atomic.Bool }

func (d *brokenDisk) String() string { return "broken" }

func (d *brokenDisk) MaybeError(op errorfs.Op) error {
	if d.on.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
		return syscall.EIO
	}
	return nil
}

func startMonitored(t *testing.T) *monitored {
	t.Helper()
	m := &monitored{t: t, metrics: admin.NewMetrics(time.Now())}
	m.recorder = journal.NewRecorder(1<<20, time.Now, noLog{})
	m.guard = guard.New(guard.Options{Journal: m.recorder, Rate: 100, UnknownRate: 1000, KnownRate: 200, Ban: true,
		Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	var err error
	m.store, err = durable.Open(durable.Options{
		Path: t.TempDir(), Observer: commitsOnly{m.metrics}, Files: errorfs.Wrap(vfs.Default, &m.disk),
	})
	if err != nil {
		t.Fatal(err)
	}
	algorithms := []digest.Algorithm{digest.MD5}
	domains := peers.NewDomains(nil, "")
	m.options = peers.Options{
		Domains: domains, Algorithms: algorithms, MaxContacts: 10, RemoveExisting: true,
		MinimumExpiration: 60, DefaultExpiration: 3600, MaximumExpiration: 7200,
	}
	authenticator := digest.New([32]byte{1}, algorithms, 300*time.Second)
	m.registrar = registrar.New(registrar.Options{
		Domains: domains, Directory: m.load(monitoredPeers), Authenticator: authenticator,
		Location: m.store, Journal: m.recorder,
	})
	layer := transaction.NewLayer(m.registrar, transactionMemory)
	m.requests = func(now time.Time) transaction.Counts {
		counts := layer.Counts(now)
		counts.Unacknowledged, counts.NoACK, counts.NoRoom = m.calls.Unacknowledged, m.calls.NoACK, m.calls.NoRoom
		return counts
	}
	m.metrics.Read(admin.Sources{
		Events: m.recorder.Counts, Watches: m.recorder.Watches, Requests: m.requests, Bindings: m.store.Count,
		Nonces: authenticator.UsedPages, Sockets: m.listen(layer), STUN: m.stun.Answered, Qualify: func() qualify.Counts { return m.qualified },
		Subscriptions: func() regevent.Counts { return m.subscribed },
		Saving: func() (bool, int) {
			status := m.store.Status()
			return status.Failure == nil, status.Unsaved
		},
		Shared:  func() admin.SharedCounts { return m.shared },
		Peers:   func() int { return m.registrar.Directory().Len() },
		Guard:   m.guard,
		Webhook: func() api.Webhook { return m.webhook },
	})
	return m
}

// listen opens sockets, with a phone at one of them, and returns what they count.
func (m *monitored) listen(layer *transaction.Layer) func() transport.Counts {
	server, err := transport.Listen(transport.Addresses{UDP: []string{"127.0.0.1:0"}, TCP: []string{"127.0.0.1:0"}}, nil, time.Hour, func(err error) { m.t.Log(err) })
	if err != nil {
		m.t.Fatal(err)
	}
	server.Reads = m.guard.AdmitsDatagram
	server.Serve(m.guard.Before(m.stun.Before(layer)), m.store)
	m.t.Cleanup(func() {
		server.Close()
		_ = m.store.Close()
	})
	addresses := server.Addresses()
	m.udp, m.tcp = strings.TrimPrefix(addresses[0], "udp "), strings.TrimPrefix(addresses[1], "tcp ")
	m.phone = m.dial("udp", m.udp)
	return func() transport.Counts {
		counts := server.Counts()
		counts.Dropped += m.moreAtSockets.Dropped
		counts.Lost += m.moreAtSockets.Lost
		counts.Refused, counts.Failed = m.moreAtSockets.Refused, m.moreAtSockets.Failed
		return counts
	}
}

func (m *monitored) load(text string) *peers.Directory {
	m.t.Helper()
	path := filepath.Join(m.t.TempDir(), "peers.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
	directory, _, err := peers.Load([]string{path}, m.options)
	if err != nil {
		m.t.Fatal(err)
	}
	return directory
}

func (m *monitored) dial(network, address string) net.Conn {
	m.t.Helper()
	conn, err := net.Dial(network, address)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { conn.Close() })
	return conn
}

// request is a REGISTER, or what else that method is, with header fields added.
func (m *monitored) request(method string, lines ...string) string {
	m.cseq++
	return fmt.Sprintf("%s sip:r SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK%d;rport\r\n"+
		"From: <sip:2001@r>;tag=f\r\nTo: <sip:2001@r>\r\nCall-ID: c\r\nCSeq: %d %s\r\n%s\r\n\r\n",
		method, m.cseq, m.cseq, method, strings.Join(append(lines, "Content-Length: 0"), "\r\n"))
}

// exchange sends a message and returns what it is answered.
func (m *monitored) exchange(message string) string {
	m.t.Helper()
	m.send(message)
	answer := make([]byte, 4096)
	_ = m.phone.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, err := m.phone.Read(answer)
	if err != nil {
		m.t.Fatalf("no answer to %q: %v", message, err)
	}
	return string(answer[:n])
}

func (m *monitored) send(message string) {
	m.t.Helper()
	if _, err := io.WriteString(m.phone, message); err != nil {
		m.t.Fatal(err)
	}
}

var nonceIn = regexp.MustCompile(`realm="([^"]*)".*nonce="([^"]*)"`)

// registerAs registers with a secret. It returns the request with credentials.
func (m *monitored) registerAs(authname, secret string, lines ...string) (request string) {
	m.t.Helper()
	challenge := nonceIn.FindStringSubmatch(m.exchange(m.request("REGISTER", lines...)))
	if challenge == nil {
		m.t.Fatal("no challenge")
	}
	hash := func(text string) string {
		sum := md5.Sum([]byte(text))
		return hex.EncodeToString(sum[:])
	}
	a1, a2 := hash(authname+":"+challenge[1]+":"+secret), hash("REGISTER:sip:r")
	response := hash(a1 + ":" + challenge[2] + ":00000001:x:auth:" + a2)
	request = m.request("REGISTER", append(lines, fmt.Sprintf(
		`Authorization: Digest username="%s", realm="%s", nonce="%s", uri="sip:r", response="%s", nc=00000001, cnonce="x", qop=auth`,
		authname, challenge[1], challenge[2], response))...)
	m.exchange(request)
	return request
}

const contact = "Contact: <sip:2001@127.0.0.1:5099>"

func (m *monitored) register(lines ...string) (request string) {
	m.t.Helper()
	return m.registerAs("7f3a9c", "secret", lines...)
}

// scrape returns what Prometheus is told.
func (m *monitored) scrape() string { return scrape(m.t, m.metrics.Handler()) }

func scrape(t *testing.T, handler http.Handler) string {
	t.Helper()
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	if answer.Code != http.StatusOK {
		t.Fatalf("%d %s", answer.Code, answer.Body)
	}
	return answer.Body.String()
}

// series is values by name with labels, such as `up{job="a"}`.
type series map[string]float64

func readSeries(t *testing.T, text string) series {
	t.Helper()
	all := series{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(strings.TrimSpace(line[at+1:]), 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all[line[:at]] = value
	}
	return all
}

// removeAll removes all bindings as other peers do.
func (m *monitored) removeAll() {
	m.registrar.Reload(m.load("[Other]\nauthname = other\nsecret = s\naorname = 1\n"), time.Now)
}

// expireAll ends all bindings as time does.
func (m *monitored) expireAll() { m.store.Expire(time.Now().Add(3*time.Hour), m.registrar.Expired) }

func (m *monitored) await(what string, seen func() bool) {
	m.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !seen(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			m.t.Fatal("not seen: ", what)
		}
	}
}

// breakDisk makes the disk fail, as the next registration finds out.
func (m *monitored) breakDisk() {
	m.disk.on.Store(true)
	m.t.Cleanup(func() { m.disk.on.Store(false) })
	m.register(contact)
	m.await("the disk fails", func() bool { return m.store.Status().Failure != nil })
}

// openStream opens a stream and uses it, so that it is taken in.
func (m *monitored) openStream() { m.openStreamWith(m.request("OPTIONS")) }

// openStreamWith opens a stream and waits for what its first bytes are answered.
func (m *monitored) openStreamWith(text string) {
	m.t.Helper()
	stream := m.dial("tcp", m.tcp)
	_, _ = io.WriteString(stream, text)
	_ = stream.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := stream.Read(make([]byte, 1)); err != nil {
		m.t.Fatal(err)
	}
}

func (m *monitored) banPhone() {
	network := netip.MustParsePrefix("127.0.0.1/32")
	if _, err := m.guard.Ban(network, time.Now(), 0); err != nil {
		m.t.Fatal(err)
	}
}

func requirePromtool(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("promtool"); err == nil {
		return
	}
	const lacks = "promtool is not installed: apt-get install prometheus"
	if os.Getenv("CI") != "" {
		t.Fatal(lacks)
	}
	t.Skip("SKIPPED: " + lacks)
}

// promtool runs it and returns what it prints, and how it ends.
func promtool(t *testing.T, input string, arguments ...string) (string, error) {
	t.Helper()
	requirePromtool(t)
	command := exec.CommandContext(t.Context(), "promtool", arguments...)
	command.Stdin = strings.NewReader(input)
	text, err := command.CombinedOutput()
	return string(text), err
}
