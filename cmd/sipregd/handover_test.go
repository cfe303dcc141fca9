package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const anyAORPeers = `
[Phones]
authname = phones
secret = phones
aorname = *
`

// refresher is a phone that refreshes its binding at a steady rate. Over UDP it sends each
// request once, other than RFC 3261 has phones do (§17.1.2.2), so that one that is lost
// shows. A stream that ends amid a request it opens again, once.
type refresher struct {
	*client
	granted             atomic.Int64
	challenged, refused int // 401 and 503
	reconnected         int
	slowest             time.Duration
}

func newRefresher(network, server string, number int) *refresher {
	r := &refresher{client: newClient(network, server, "phones", "phones", fmt.Sprint(3000+number))}
	r.keeps = true
	return r
}

// refresh registers, and answers the challenges on the way.
func (r *refresher) refresh() error {
	begun := time.Now()
	defer func() { r.slowest = max(r.slowest, time.Since(begun)) }()
	for challenges := 0; challenges < 3; { // a nonce of the daemon before is stale
		lines := []string{fmt.Sprintf("Contact: <sip:%s@127.0.0.1:6000>;expires=600", r.aorname)}
		answer, err := r.ask(lines)
		switch {
		case err != nil:
			return err
		case answer.status == 200:
			r.granted.Add(1)
			return nil
		case answer.status == 503 && time.Since(begun) < patience:
			r.refused++
			time.Sleep(100 * time.Millisecond)
			continue
		case answer.status != 401:
			return fmt.Errorf("answered %d", answer.status)
		}
		r.challenged++
		challenges++
		r.takeChallenge(answer.header.Get("WWW-Authenticate"))
	}
	return errors.New("challenged again and again")
}

func (r *refresher) ask(lines []string) (reply, error) {
	answer, err := r.askOnce(lines)
	if err != nil && r.network != "udp" {
		r.reconnected++
		r.close()
		answer, err = r.askOnce(lines)
	}
	return answer, err
}

func (r *refresher) askOnce(lines []string) (reply, error) {
	if r.conn == nil {
		if err := r.connect(); err != nil {
			return reply{}, err
		}
	}
	return r.send(r.next(lines), patience)
}

// next returns the next request, with credentials where there is a challenge to answer.
func (r *refresher) next(lines []string) string {
	if r.nonce != "" {
		lines = append([]string{r.authorization()}, lines...)
	}
	return r.request(lines)
}

// send sends a request and waits so long for its answer.
func (r *refresher) send(text string, within time.Duration) (reply, error) {
	if err := r.conn.SetDeadline(time.Now().Add(within)); err != nil {
		return reply{}, err
	}
	if _, err := r.conn.Write([]byte(text)); err != nil {
		return reply{}, err
	}
	for {
		answer, err := r.read()
		if err != nil || answer.header.Get("CSeq") == fmt.Sprintf("%d REGISTER", r.cseq) {
			return answer, err
		}
	}
}

// refreshDuring has 200 phones refresh, half of them over TCP, while something happens. No
// registration may fail. It returns how often one was answered 503. What happens calls
// settle between two ends of daemons, which waits until all phones have registered again.
func refreshDuring(t *testing.T, server string, happens func(settle func())) (refused int) {
	t.Helper()
	const count, pause = 200, 200 * time.Millisecond
	phones := make([]*refresher, count)
	over := make(chan struct{})
	var running sync.WaitGroup
	for i := range phones {
		phones[i] = newRefresher([]string{"udp", "tcp"}[i%2], server, i)
		running.Go(func() {
			defer phones[i].close()
			for next := time.Duration(i) * pause / count; ; next = pause {
				select {
				case <-over:
					return
				case <-time.After(next):
				}
				if err := phones[i].refresh(); err != nil {
					t.Errorf("phone %d over %s: %v", i, phones[i].network, err)
					return
				}
			}
		})
	}
	end := sync.OnceFunc(func() { close(over); running.Wait() })
	defer end()
	settle := func() { awaitRefreshes(t, phones) }
	settle()
	begun := time.Now()
	happens(settle)
	took := time.Since(begun)
	end()
	var all refresher
	granted := int64(0)
	for _, phone := range phones {
		granted += phone.granted.Load()
		all.challenged, refused = all.challenged+phone.challenged, refused+phone.refused
		all.reconnected += phone.reconnected
		all.slowest = max(all.slowest, phone.slowest)
	}
	t.Logf("within %v: %d registrations, %d challenges, %d streams opened again, the slowest took %v",
		took.Round(time.Millisecond), granted, all.challenged, all.reconnected, all.slowest.Round(time.Millisecond))
	return refused
}

// awaitRefreshes waits until each of some phones has registered from now on.
func awaitRefreshes(t *testing.T, phones []*refresher) {
	t.Helper()
	before := make([]int64, len(phones))
	for i, phone := range phones {
		before[i] = phone.granted.Load()
	}
	deadline := time.Now().Add(patience)
	for i, phone := range phones {
		for ; phone.granted.Load() == before[i]; time.Sleep(time.Millisecond) {
			if t.Failed() || time.Now().After(deadline) {
				t.Fatalf("the phone of %s over %s does not register", phone.aorname, phone.network)
			}
		}
	}
}

// activate has a daemon get sockets on its addresses as systemd passes them
// (sd_listen_fds(3)).
func activate(t *testing.T, d *daemon) {
	t.Helper()
	udp, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(d.udp))
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	tcp, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(d.tcp))
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	for _, conn := range []interface{ File() (*os.File, error) }{udp, tcp} {
		file, err := conn.File()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		d.passed = append(d.passed, file)
	}
	d.under = []string{"sh", "-c", `export LISTEN_PID=$$; exec "$0" "$@"`, buildDaemon(t)}
	d.environment = []string{fmt.Sprint("LISTEN_FDS=", len(d.passed))}
}

func TestRestartsOnSocketsOfSystemdLoseNothing(t *testing.T) {
	d := prepareDaemon(t, "", anyAORPeers)
	activate(t, d)
	d.run(t)
	if text := d.output.String(); !strings.Contains(text, "sockets_inherited") || strings.Contains(text, "systemd does not") {
		t.Errorf("logged:\n%s", text)
	}
	refused := refreshDuring(t, d.udp.String(), func(settle func()) {
		for range 10 {
			d = d.restart(t)
			settle()
		}
	})
	if refused > 0 {
		t.Errorf("%d registrations were answered 503", refused)
	}
}

func TestHandOversOnSharedPortsLoseNothing(t *testing.T) {
	redis := startRedis(t, "--appendonly", "no") // a busy disk is another matter
	d := prepareDaemon(t, fmt.Sprintf("share_ports = yes\n[location]\nstore = redis\nnode = sip1\nredis = %s\n", redis.url()), anyAORPeers)
	d.run(t)
	var logs strings.Builder
	refused := refreshDuring(t, d.udp.String(), func(settle func()) {
		for range 3 {
			last := d
			d = d.handOver(t)
			logs.WriteString(last.output.String())
			settle()
			time.Sleep(time.Second) // a daemon's nonces of its first second are good there alone
		}
	})
	logs.WriteString(d.output.String())
	if strings.Contains(logs.String(), "network trouble") {
		t.Errorf("logged:\n%s", logs.String())
	}
	// Where the machine is too busy, Redis does not answer within half a second.
	if slow := strings.Contains(logs.String(), "Redis is away"); refused > 0 && !slow {
		t.Errorf("%d registrations were answered 503", refused)
	} else if refused > 0 {
		t.Logf("%d registrations were answered 503 while Redis was slow, and came again", refused)
	}
	if conn, err := net.Dial("unix", d.directory+"/sipregd.sock"); err != nil {
		t.Errorf("the last daemon has no control socket: %v", err)
	} else {
		conn.Close()
	}
}

// A daemon that Redis does not serve takes no ports over, and says what to do. Alone it
// starts all the same.
func TestATakeoverNeedsRedis(t *testing.T) {
	redis := startRedis(t)
	redis.ask("ACL SETUSER sipregd on >right ~* +@all")
	url := strings.Replace(redis.url(), "//", "//sipregd:right@", 1)
	d := prepareDaemon(t, "share_ports = yes\n[location]\nstore = redis\nnode = sip1\nredis = "+url+"\n", anyAORPeers)
	d.run(t)
	wrong, path := d.next(), filepath.Join(d.directory, "sipregd.conf")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, strings.Replace(string(text), ":right@", ":wrong@", 1))
	output, status := wrong.fail(t)
	for _, want := range []string{"does not take over", "WRONGPASS", "write the right name and password"} {
		if status != 1 || !strings.Contains(output, want) {
			t.Errorf("no %q in %d %s", want, status, output)
		}
	}
	if !registers(newClient("udp", d.udp.String(), "phones", "phones", "3000")) {
		t.Error("the first one registers nobody")
	}
	d.stop(t)
	wrong.next().run(t)
}

// What does not match is said at the start, and by --check.
func TestSocketsThatDoNotMatch(t *testing.T) {
	d, other := prepareDaemon(t, "", anyAORPeers), prepareDaemon(t, "", anyAORPeers)
	other.tcp = d.tcp
	activate(t, other)
	d.passed, d.under, d.environment = other.passed, other.under, other.environment
	want := []string{
		fmt.Sprintf("systemd holds udp %v, which is no address of [listen]", other.udp),
		fmt.Sprintf("systemd does not hold udp %v, an address of [listen]", d.udp),
	}
	check := exec.Command(d.under[0], append(slices.Clone(d.under[1:]), "--check", "--config", filepath.Join(d.directory, "sipregd.conf"))...)
	check.Env, check.ExtraFiles = append(os.Environ(), d.environment...), d.passed
	text, err := check.CombinedOutput()
	if err != nil || strings.Contains(string(text), "tcp") {
		t.Errorf("--check: %v, and says:\n%s", err, text)
	}
	d.run(t)
	for _, difference := range want {
		if !strings.Contains(string(text), "warning: "+difference) {
			t.Errorf("no %q in what --check says:\n%s", difference, text)
		}
		if !strings.Contains(d.output.String(), difference) {
			t.Errorf("no %q at the start:\n%s", difference, d.output.String())
		}
	}
	if c := newClient("udp", d.udp.String(), "phones", "phones", "3000"); !registers(c) {
		t.Error("no registration over UDP")
	}
	if c := newClient("tcp", d.tcp.String(), "phones", "phones", "3000"); !registers(c) {
		t.Error("no registration over TCP")
	}
}

func registers(c *client) bool {
	defer c.close()
	answer, _, err := c.register("Contact: <sip:3000@127.0.0.1:6000>")
	return err == nil && answer.status == 200
}
