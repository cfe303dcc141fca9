package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sipregd/internal/admin/api"
)

// nobodyTrusted has phones and strangers of these tests judged, all of whom are of
// 127.0.0.0/8.
const nobodyTrusted = "[security]\ntrusted =\n"

// office returns peers, phone-0 to phone-n, with secrets that are like their names.
func office(n int) string {
	var peers strings.Builder
	for i := range n {
		fmt.Fprintf(&peers, "[Desk %d]\nauthname = phone-%[1]d\nsecret = secret-%[1]d\naorname = %d\n", i, 3000+i)
	}
	return peers.String()
}

func (d *daemon) bans(t *testing.T) []api.Ban {
	t.Helper()
	var bans api.Bans
	d.ask(t, http.MethodGet, "/api/v1/bans", nil, &bans)
	return bans.Bans
}

// phoneAt is a phone at an address of its own.
func phoneAt(t *testing.T, d *daemon, network, address, authname, secret, aorname string) *client {
	t.Helper()
	c := newClient(network, d.udp.String(), authname, secret, aorname)
	dialer := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(address)}}
	if network == "tcp" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(address)}
	}
	c.dial = dialer.Dial
	t.Cleanup(c.close)
	return c
}

// A scanner that tries names is kept out, whoever has some of them; that is logged,
// listed and explained, and ends when the administrator says so.
func TestAScannerIsBanned(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, nobodyTrusted, officePeers)
			const scanner = "127.0.7.1"
			for i := range 10 {
				names := []string{"100", "admin", "b41d77", "frontdesk", fmt.Sprint(1000 + i)}
				c := phoneAt(t, d, network, scanner, names[i%len(names)]+strings.Repeat("x", i/len(names)), "guess", "2001")
				c.answerWithin = time.Second
				if answer, _, err := c.register(); i < 9 && (err != nil || answer.status != 401) {
					t.Fatalf("guess %d: %v %v", i, answer, err)
				}
			}
			d.waitLog(t, `"event":"ban_added","src_ip":"`+scanner+`","network":"`+scanner+`","by":"sipregd","until":`)
			c := phoneAt(t, d, network, scanner, "b41d77", "correct-horse", "2001")
			c.answerWithin = time.Second
			if answer, _, err := c.register("Contact: <sip:2001@" + scanner + ">"); err == nil {
				t.Errorf("it is answered %d", answer.status)
			}
			bans := d.bans(t)
			if len(bans) != 1 || bans[0].Network != scanner || bans[0].By != "sipregd" || bans[0].Dropped == 0 || bans[0].Until == nil ||
				bans[0].Why != "10 authnames in 10 minutes proved nothing" {
				t.Fatalf("bans: %+v", bans)
			}
			why := d.why(t, scanner)
			if len(why.Attempts) == 0 || why.Attempts[0].Event.Reason != "banned" || !strings.Contains(why.Attempts[0].Cause, "10 authnames") {
				t.Errorf("why: %+v", why)
			}
			// Others are not.
			if answer, _, err := phoneAt(t, d, network, "127.0.7.2", "b41d77", "correct-horse", "2001").register("Contact: <sip:2001@127.0.7.2>"); err != nil || answer.status != 200 {
				t.Errorf("a phone elsewhere: %v %v", answer, err)
			}
			d.ask(t, http.MethodDelete, "/api/v1/bans?network="+scanner, nil, nil)
			d.waitLog(t, `"event":"ban_lifted","src_ip":"`+scanner+`"`)
			if answer, _, err := c.register("Contact: <sip:2001@" + scanner + ">"); err != nil && network == "udp" || err == nil && answer.status != 200 {
				t.Errorf("when it is lifted: %v %v", answer, err)
			}
		})
	}
}

// A stream of who is banned is closed before a byte of it is read, TLS or not.
func TestWhoIsBannedGetsNoStream(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, nobodyTrusted, officePeers)
	d.ask(t, http.MethodPost, "/api/v1/bans", api.NewBan{Network: "127.0.7.0/24"}, nil)
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.7.9")}}
	conn, err := dialer.Dial("tcp", d.tcp.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("it is not closed: %v", err)
	}
	if bans := d.bans(t); len(bans) != 1 || bans[0].Dropped != 1 || bans[0].By != "administrator" {
		t.Errorf("bans: %+v", bans)
	}
}

// One phone with a wrong secret, as fast as baresip can, keeps nobody out: neither the
// others behind its address nor, once it has the right one, itself.
func TestBaresipWithAWrongSecretIsNotBanned(t *testing.T) {
	requireProgram(t, "baresip", "baresip-core")
	t.Parallel()
	d := startDaemon(t, nobodyTrusted, phonePeers+office(20))
	phones := []*baresip{
		startBaresip(t, d.udp, "udp", "b41d77", "wrong"), startBaresip(t, d.udp, "udp", "b41d77", "wrong too"),
		startBaresip(t, d.udp, "tcp", "b41d77", "wrong as well"),
	}
	for _, b := range phones {
		b.wait(t, notRegistered)
	}
	d.waitLog(t, `"reason":"too_many_guesses"`)
	if bans := d.bans(t); len(bans) > 0 {
		t.Fatalf("bans: %+v", bans)
	}
	for i := range 20 {
		aor := fmt.Sprint(3000 + i)
		c := newClient("udp", d.udp.String(), fmt.Sprintf("phone-%d", i), fmt.Sprintf("secret-%d", i), aor)
		if answer, _, err := c.register("Contact: <sip:" + aor + "@127.0.0.1>"); err != nil || answer.status != 200 {
			t.Errorf("phone %d behind the same address: %v %v", i, answer, err)
		}
		c.close()
	}
	// Somebody mends one phone, and the others are off.
	for _, b := range phones {
		b.stop(t)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Second) {
		c := newClient("udp", d.udp.String(), "b41d77", "correct-horse", "2001")
		answer, _, err := c.register("Contact: <sip:2001@127.0.0.1>")
		c.close()
		if err == nil && answer.status == 200 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the phone with the right secret: %v %v", answer, err)
		}
	}
}

// registerPatiently registers, and sends a request that is not answered again, as phones
// do (RFC 3261 §17.1.2.2): Timer E, up to Timer F. It returns how many times it sent one
// again.
func registerPatiently(c *client, lines ...string) (again int, err error) {
	c.answerWithin = 500 * time.Millisecond
	for deadline := time.Now().Add(32 * time.Second); time.Now().Before(deadline); again++ {
		answer, _, err := c.register(lines...)
		if err == nil {
			if answer.status != 200 {
				return again, fmt.Errorf("status %d", answer.status)
			}
			return again, nil
		}
		c.answerWithin = min(2*c.answerWithin, 4*time.Second)
	}
	return again, fmt.Errorf("no answer in 32 s")
}

// After a power cut an office of phones behind one address, which nobody has seen
// before, comes at once.
func TestAnOfficeBehindOneAddressComesBack(t *testing.T) {
	const phones = 200
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, nobodyTrusted, office(phones))
			began := time.Now()
			var running sync.WaitGroup
			var again atomic.Int64
			for i := range phones {
				running.Go(func() {
					aor := fmt.Sprint(3000 + i)
					c := phoneAt(t, d, network, "127.0.7.3", fmt.Sprintf("phone-%d", i), fmt.Sprintf("secret-%d", i), aor)
					times, err := registerPatiently(c, "Contact: <sip:"+aor+"@127.0.7.3>")
					again.Add(int64(times))
					if err != nil {
						t.Errorf("phone %d: %v", i, err)
					}
				})
			}
			running.Wait()
			t.Logf("%d phones in %v, %d requests were sent again", phones, time.Since(began).Round(time.Millisecond), again.Load())
			if strings.Contains(d.output.String(), "ban_added") {
				t.Error("the office is banned")
			}
		})
	}
}

// A flood of strangers, each of another address of 127.0.0.0/8, while phones refresh.
func TestPhonesRefreshThroughAFlood(t *testing.T) {
	const phones, flooders = 20, 4
	t.Parallel()
	d := startDaemon(t, nobodyTrusted+"unknown_rate = 200\n", office(phones))
	clients := make([]*client, phones)
	for i := range clients {
		aor := fmt.Sprint(3000 + i)
		clients[i] = phoneAt(t, d, "udp", fmt.Sprintf("127.0.9.%d", i+1), fmt.Sprintf("phone-%d", i), fmt.Sprintf("secret-%d", i), aor)
		if again, err := registerPatiently(clients[i], "Contact: <sip:"+aor+"@127.0.9.1>"); err != nil || again > 0 {
			t.Fatalf("phone %d before the flood: %v", i, err)
		}
	}
	flood, stop := context.WithTimeout(t.Context(), 4*time.Second)
	defer stop()
	var running sync.WaitGroup
	var sent atomic.Int64
	for n := range flooders {
		running.Go(func() { sent.Add(floodFrom(t, flood, d, netip.AddrFrom4([4]byte{127, 64 + byte(n), 0, 0}))) })
	}
	time.Sleep(time.Second)
	refreshes := 0
	for flood.Err() == nil {
		for i, c := range clients {
			if _, err := registerPatiently(c, fmt.Sprintf("Contact: <sip:%d@127.0.9.1>", 3000+i)); err != nil {
				t.Errorf("phone %d amid the flood: %v", i, err)
			}
			refreshes++
		}
	}
	running.Wait()
	var stats api.Stats
	d.ask(t, http.MethodGet, "/api/v1/stats", nil, &stats)
	t.Logf("%d refreshes of %d phones amid %d requests of strangers", refreshes, phones, sent.Load())
	if answered := stats.Events["challenged"]; answered > 200*20+2*uint64(refreshes)+phones*2 {
		t.Errorf("%d requests were challenged", answered)
	}
	if refreshes < phones {
		t.Errorf("%d refreshes", refreshes)
	}
}

// floodFrom sends a REGISTER of each address after one, over and over, at a few thousand a
// second, and returns how many.
func floodFrom(t *testing.T, flood context.Context, d *daemon, first netip.Addr) (sent int64) {
	address := first
	for flood.Err() == nil {
		address = address.Next()
		conn, err := net.DialUDP("udp", &net.UDPAddr{IP: address.AsSlice()}, net.UDPAddrFromAddrPort(d.udp))
		if err != nil {
			t.Error(err)
			return sent
		}
		request := fmt.Sprintf("REGISTER sip:test SIP/2.0\r\nVia: SIP/2.0/UDP %v;branch=z9hG4bK%d;rport\r\nFrom: <sip:100@test>;tag=f\r\n"+
			"To: <sip:100@test>\r\nCall-ID: %[1]v\r\nCSeq: 1 REGISTER\r\nContent-Length: 0\r\n\r\n", conn.LocalAddr(), sent)
		for range 4 {
			if _, err := conn.Write([]byte(request)); err == nil {
				sent++
			}
		}
		conn.Close()
	}
	return sent
}

// SIPp as a scanner that sends nothing but OPTIONS, faster than its rate.
func TestSIPpIsSlowed(t *testing.T) {
	requireProgram(t, "sipp", "sip-tester")
	t.Parallel()
	d := startDaemon(t, "[security]\ntrusted =\nrate = 5\n", officePeers)
	sipp(t, "options", "u1", d.udp, "-m", "70", "-r", "200", "-s", "100")
	d.waitLog(t, `"event":"refused","src_ip":"127.0.0.1"`)
	d.waitLog(t, `"reason":"too_many_requests","detail":"127.0.0.1 sent more than 5 requests a second (rate)"`)
	why := d.why(t, "127.0.0.1")
	if len(why.Attempts) == 0 || !strings.Contains(why.Attempts[0].Cause, "5 requests a second (rate)") {
		t.Errorf("why: %+v", why)
	}
	if strings.Contains(d.output.String(), "ban_added") {
		t.Error("it is banned")
	}
}

// The kernel drops what sipregctl has printed for it, and lets in again who is not banned
// any more. All of it happens in a network namespace.
func TestNftablesDropsWhoIsBanned(t *testing.T) {
	requireProgram(t, "nft", "nftables")
	requireProgram(t, "ip", "iproute2")
	sipregctl := filepath.Join(t.TempDir(), "sipregctl")
	if text, err := exec.Command("go", "build", "-o", sipregctl, "../sipregctl").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	buildDaemon(t)
	namespace := fmt.Sprintf("sipregd-%d-nft", os.Getpid())
	addNamespace(t, namespace)
	feed(t, "link set lo up\n", "ip", "-n", namespace, "-batch", "-")
	var d *daemon
	within(t, namespace, func() { d = startDaemon(t, nobodyTrusted, officePeers) })
	answered := func(address string) (is bool) {
		within(t, namespace, func() {
			c := phoneAt(t, d, "udp", address, "b41d77", "correct-horse", "2001")
			c.answerWithin = time.Second
			_, _, err := c.register()
			is = err == nil
		})
		return is
	}
	export := func() {
		text, err := exec.Command(sipregctl, "ban", "nft", "--ports", fmt.Sprint(d.udp.Port()), "--socket", filepath.Join(d.directory, "sipregd.sock")).Output()
		if err != nil {
			t.Fatal(err)
		}
		within(t, namespace, func() { feed(t, string(text), "nft", "-f", "-") })
	}
	export() // of no bans
	for _, ban := range []api.NewBan{{Network: "127.0.7.5", Seconds: 60}, {Network: "127.0.7.5/28", Seconds: 60}, {Network: "2001:db8::/64"}, {Network: "192.0.2.7"}} {
		d.ask(t, http.MethodPost, "/api/v1/bans", ban, nil)
	}
	export()
	export() // which takes the place of what is there
	if answered("127.0.7.5") || !answered("127.0.7.99") {
		t.Error("not just who is banned gets no answer")
	}
	for _, ban := range d.bans(t) {
		if ban.Dropped != 0 {
			t.Errorf("the daemon had to drop what came from %s", ban.Network)
		}
		d.ask(t, http.MethodDelete, "/api/v1/bans?network="+url.QueryEscape(ban.Network), nil, nil)
	}
	export()
	if !answered("127.0.7.5") {
		t.Error("who is not banned any more gets no answer")
	}
}

// Where phones were registered before a start is known from the start on.
func TestSourcesOfBindingsAreKnownAfterAStart(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, nobodyTrusted+"rate = 1\n", officePeers)
	phone := phoneAt(t, d, "udp", "127.0.7.4", "b41d77", "correct-horse", "2001")
	if answer, _, err := phone.register("Contact: <sip:2001@127.0.7.4>"); err != nil || answer.status != 200 {
		t.Fatalf("%v %v", answer, err)
	}
	again := d.restart(t)
	for address, want := range map[string]bool{"127.0.7.4": true, "127.0.7.5": false} {
		c, all := phoneAt(t, again, "udp", address, "b41d77", "correct-horse", "2001"), true
		c.answerWithin = time.Second
		for range 30 { // at rate 10 at once
			if _, err := c.exchange(nil); err != nil {
				all = false
				break
			}
		}
		if all != want {
			t.Errorf("from %s all requests are answered: %v", address, all)
		}
	}
}
