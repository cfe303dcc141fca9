package admin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"sipregd/internal/admin/api"
	"sipregd/internal/digest"
	"sipregd/internal/guard"
	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/peers"
	"sipregd/internal/qualify"
	"sipregd/internal/registrar"
	"sipregd/internal/sipuri"
)

const labPeers = `
[Kitchen, 1st floor]
authname = 7f3a9c
secret = any;text#at all
aorname = 2001

[Workshop]
authname = workshop
secret = w
certificate_name = Workshop.example.com
aorname = 2001, 2002
permit = 192.0.2.0/24
algorithm = MD5

[Hall/100% <b>]
authname = hall
secret = h
aorname = *
`

// lab is a server that listens over HTTP and on a control socket, and all that it
// looks at. How the daemon does is invented, the rest is real.
type lab struct {
	*testing.T
	*Server
	store       *location.Memory
	stale       bool   // it is away
	fails       bool   // look-ups fail, though it is not known to be away
	looked      func() // called for each look-up
	twice       bool   // it yields AORs twice
	walks       int    // through all of it
	registrar   *registrar.Registrar
	file        string // of the peers
	domains     peers.Domains
	qualified   map[uint64]qualify.Status // by the ID of the binding
	notReady    error
	removeFails error
	banned      []string // and lifted
	socket      string
	http        *http.Client // over HTTP
	control     *http.Client // over the control socket
	description *description
}

// labSetting changes a lab before it listens.
type labSetting func(*lab)

func withToken(token string) labSetting { return func(l *lab) { l.Token = token } }

func withDomains(names ...string) labSetting {
	return func(l *lab) { l.domains = peers.NewDomains(names, "") }
}

func newLab(t *testing.T, settings ...labSetting) *lab {
	t.Helper()
	directory := t.TempDir()
	l := &lab{T: t, file: filepath.Join(directory, "peers.conf"), socket: filepath.Join(shortDirectory(t), "socket"), domains: peers.NewDomains(nil, "")}
	l.description = describedBy(t)
	clock := func() time.Time { return noon }
	recorder := journal.NewRecorder(1<<20, clock, journalOfNothing{})
	l.store = location.NewMemory(noon)
	l.Server = New(Options{
		Daemon: l, Store: seen{l.store, l}, Recorder: recorder, Guard: guard.New(guard.Options{Journal: recorder}), Bans: l, Metrics: labMetrics(),
		Clock: clock, Trouble: func(err error) { t.Log(err) }, Qualifier: l,
	})
	for _, set := range settings {
		set(l)
	}
	l.writePeers(labPeers)
	l.registrar = registrar.New(registrar.Options{
		Domains: l.domains, Directory: l.load(), Authenticator: digest.New([32]byte{}, []digest.Algorithm{digest.MD5}, time.Hour),
		Location: seen{l.store, l}, Journal: recorder,
	})
	l.listen()
	return l
}

// Status makes the lab the qualifier.
func (l *lab) Status(id uint64) (status qualify.Status, known bool) {
	status, known = l.qualified[id]
	return status, known
}

// shortDirectory has a path that fits a socket's address.
func shortDirectory(t *testing.T) string {
	directory, err := os.MkdirTemp("", "lab")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	return directory
}

func labMetrics() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewBuildInfoCollector())
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

func (l *lab) listen() {
	l.Helper()
	if err := errors.Join(l.ListenUnix(l.socket), l.ListenHTTP("127.0.0.1:0")); err != nil {
		l.Fatal(err)
	}
	l.Cleanup(l.Close)
	l.http = l.client("tcp", l.address())
	l.control = l.client("unix", l.socket)
}

func (l *lab) address() string { return strings.TrimPrefix(l.Addresses()[0], "http ") }

func (l *lab) client(network, address string) *http.Client {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	l.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (l *lab) writePeers(text string) {
	l.Helper()
	if err := os.WriteFile(l.file, []byte(text), 0o600); err != nil {
		l.Fatal(err)
	}
}

func (l *lab) load() *peers.Directory {
	l.Helper()
	directory, _, err := l.read()
	if err != nil {
		l.Fatal(err)
	}
	return directory
}

func (l *lab) read() (*peers.Directory, []string, error) {
	return peers.Load([]string{l.file}, peers.Options{
		Domains: l.domains, Algorithms: []digest.Algorithm{digest.MD5}, MaxContacts: 10, RemoveExisting: true,
		MinimumExpiration: 60, DefaultExpiration: 3600, MaximumExpiration: 7200, ClientCertificates: true,
	})
}

// What follows is Daemon.

func (l *lab) Directory() *peers.Directory { return l.registrar.Directory() }
func (l *lab) Locate(uri sipuri.URI) (aor sipuri.AOR, bindings []location.Binding, stale bool) {
	return l.registrar.Locate(uri, noon)
}

func (l *lab) FlowGone(b *location.Binding) bool { return l.registrar.FlowGone(b) }

func (l *lab) Ready() error { return l.notReady }

func (l *lab) Remove(aor sipuri.AOR, ids []uint64) (int, error) {
	if l.removeFails != nil {
		return 0, l.removeFails
	}
	return l.registrar.Remove(aor, ids, noon)
}

func (l *lab) Reload() api.Reload {
	result := l.Check()
	if result.OK {
		l.registrar.Reload(l.load(), time.Now)
	}
	return result
}

func (l *lab) Check() api.Reload {
	next, warnings, err := l.read()
	if err != nil {
		return api.Reload{Time: noon, Warnings: warnings, Errors: strings.Split(err.Error(), "\n")}
	}
	difference := peers.Compare(l.Directory(), next)
	return api.Reload{
		OK: true, Time: noon, Peers: next.Len(), Warnings: warnings,
		Added: difference.Added, Removed: difference.Removed, Changed: difference.Changed,
	}
}

func (l *lab) Stats() api.Stats {
	since := noon
	counts := l.Recorder.Counts()
	return api.Stats{
		Version: "1", Started: noon, Listen: l.Addresses(), Events: counts.ByKind(), Refusals: counts.ByReason(),
		Store:   api.Store{Kind: "file", Failure: "no space left", Since: &since, Unsaved: 1},
		Reload:  api.Reload{OK: true, Time: noon, Peers: 3},
		Webhook: &api.Webhook{Posted: 1, Dropped: 2, Failure: "refused"},
	}
}

// journalOfNothing takes nothing down.
type journalOfNothing struct{}

func (journalOfNothing) Record(journal.Event)                    {}
func (journalOfNothing) Wants(journal.Kind, journal.Reason) bool { return false }

// bind adds a binding that lasts an hour, or what is said of it.
func (l *lab) bind(aor sipuri.AOR, b location.Binding) {
	l.Helper()
	addBinding(l.T, l.store, aor, b)
}

// seen is the store as it was last seen, where it is away.
type seen struct {
	*location.Memory
	lab *lab
}

func (s seen) Stale() bool { return s.lab.stale }

func (s seen) StaleOf(sipuri.AOR) bool { return s.lab.stale }

func (s seen) Lookup(aor sipuri.AOR, now time.Time) ([]location.Binding, bool) {
	if s.lab.looked != nil {
		s.lab.looked()
	}
	return s.Bindings(aor, now), s.lab.stale || s.lab.fails
}

func (s seen) All() iter.Seq2[sipuri.AOR, []location.Binding] {
	s.lab.walks++
	if s.lab.twice {
		return twice{s.Memory}.All()
	}
	return s.Memory.All()
}

// twice is a store that yields each AOR twice, as Redis may.
type twice struct{ *location.Memory }

func (s twice) All() iter.Seq2[sipuri.AOR, []location.Binding] {
	return func(yield func(sipuri.AOR, []location.Binding) bool) {
		for range 2 {
			for aor, bindings := range s.Memory.All() {
				if !yield(aor, bindings) {
					return
				}
			}
		}
	}
}

func addBinding(t testing.TB, store *location.Memory, aor sipuri.AOR, b location.Binding) {
	t.Helper()
	if b.Expires.IsZero() {
		b.Expires = noon.Add(time.Hour)
	}
	if b.Changed.IsZero() {
		b.Changed = noon
	}
	if !b.Source.IsValid() {
		b.Source = netip.MustParseAddrPort("192.0.2.7:5060")
	}
	err := store.Update(aor, noon.Add(-24*time.Hour), func(current []location.Binding) ([]location.Binding, error) {
		return append(append([]location.Binding(nil), current...), b), nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
}

// request returns one to the lab's HTTP.
func (l *lab) request(method, path, body string) *http.Request {
	l.Helper()
	request, err := http.NewRequestWithContext(l.Context(), method, "http://"+l.address()+path, strings.NewReader(body))
	if err != nil {
		l.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	return request
}

// ask asks over HTTP, without a token. The answer is one that is described.
func (l *lab) ask(method, path, body string) (status int, answer string) {
	l.Helper()
	return l.send(l.http, l.request(method, path, body))
}

func (l *lab) send(client *http.Client, request *http.Request) (status int, answer string) {
	l.Helper()
	response, err := client.Do(request)
	if err != nil {
		l.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		l.Fatal(err)
	}
	response.Body = io.NopCloser(bytes.NewReader(text))
	l.description.check(l.T, request, response)
	return response.StatusCode, string(text)
}

// Banned and Lifted make the lab the observer of bans.
func (l *lab) Banned(ban guard.Ban) { l.banned = append(l.banned, "+"+guard.Text(ban.Network)) }

func (l *lab) Lifted(network netip.Prefix) { l.banned = append(l.banned, "-"+guard.Text(network)) }
