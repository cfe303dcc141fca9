package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sipregd/internal/race"
)

// slowness is how an attacker holds a stream open: by what it begins with, and what it
// then sends a byte at a time, for ever.
type slowness struct {
	network     string
	begin, more string
}

var slownesses = []slowness{
	{"tcp", "", ""},
	{"tcp", "REGISTER sip:test SIP/2.0\r\nX: ", "y"},
	{"tcp", "", "\r\n"},
	{"tcp", "OPTIONS sip:test SIP/2.0\r\nContent-Length: 60000\r\n\r\n", "z"},
	{"tls", "", ""},
	{"tls", "\x16\x03\x01\x20\x00\x01\x00\x1f\xfc\x03\x03", "\x01"},
	{"ws", "", ""},
	{"ws", "GET / HTTP/1.1\r\nHost: test\r\nX: ", "y"},
	{"wss", "\x16\x03", "\x01"},
}

// slowStreams is how many the attack has, and how long it lasts.
func slowStreams(t *testing.T) (n int, lasts time.Duration) {
	text := os.Getenv("SIPREGD_SLOW")
	if text == "" {
		return 500, 4 * time.Second
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n, time.Minute
}

// Whoever holds streams open and says next to nothing keeps no phone out, by whatever
// transport, and takes no memory for good. There is room for half of the attack.
func TestSlowStreamsKeepNobodyOut(t *testing.T) {
	n, lasts := slowStreams(t)
	d, config, metrics := startScrapedCrowd(t, n/2)
	figure := func(name string) int {
		t.Helper()
		return int(figureOf(t, get(t, metrics), name))
	}
	phones := []string{"tcp", "tls", "ws", "wss"}
	for i, network := range phones { // makes what is there once
		if err := d.registerOnce(t, network, config, i); err != nil {
			t.Fatal(err)
		}
	}
	memory, goroutines := d.residentNow(t), figure("go_goroutines")
	var attack attack
	attack.begin(d, n)
	registered, most := 0, 0
	for began := time.Now(); time.Since(began) < lasts; registered++ {
		network := phones[registered%len(phones)]
		if err := d.registerOnce(t, network, config, registered%len(phones)); err != nil {
			t.Fatalf("after %d registrations, by %s: %v", registered, network, err)
		}
		most = max(most, d.residentNow(t))
	}
	held := figure("sipregd_streams")
	attack.end()
	t.Logf("%d streams attack, %d are open, %d attempts: %d registrations, %d MB more memory", n, held, attack.dialed.Load(), registered, (most-memory)>>20)
	if held < n/4 || held > n/2+1 {
		t.Errorf("%d streams of %d are open", held, n)
	}
	if bound := 128<<20 + n/2*(20<<10); most-memory > bound && !race.Enabled() {
		t.Errorf("memory grows by %d bytes, beyond %d", most-memory, bound)
	}
	for deadline := time.Now().Add(patience); figure("sipregd_streams") > 0 || figure("go_goroutines") > goroutines+5; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("afterwards there are %d streams and %d goroutines, before %d", figure("sipregd_streams"), figure("go_goroutines"), goroutines)
		}
	}
}

// figureOf reads a metric without labels.
func figureOf(t *testing.T, scrape, name string) float64 {
	t.Helper()
	value := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(scrape)
	if value == nil {
		t.Fatalf("no %s", name)
	}
	figure, err := strconv.ParseFloat(value[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return figure
}

// registerOnce registers on a stream of its own, which ends with that.
func (d *daemon) registerOnce(t *testing.T, network string, config *tls.Config, number int) error {
	name := strconv.Itoa(number)
	c := newClient(network, "", name, "correct-horse", name)
	var err error
	if c.conn, err = d.dialBy(t, network, config); err != nil {
		return err
	}
	defer c.close()
	c.reader, c.answerWithin = bufio.NewReader(c.conn), patience
	answer, _, err := c.register(fmt.Sprintf("Contact: <sip:%s@127.0.0.1:9>", name))
	if err == nil && answer.status != 200 {
		err = fmt.Errorf("answered %d", answer.status)
	}
	return err
}

// attack is many streams, from a few addresses, that are opened again whenever they are
// closed.
type attack struct {
	running sync.WaitGroup
	ended   atomic.Bool
	dialed  atomic.Int64
}

func (a *attack) begin(d *daemon, n int) {
	const hands = 20
	for i := range hands {
		a.running.Go(func() { a.hold(d, i, n/hands) })
	}
}

func (a *attack) end() {
	a.ended.Store(true)
	a.running.Wait()
}

// hold keeps n streams open, each with a byte now and then.
func (a *attack) hold(d *daemon, first, n int) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+first))}}
	conns := make([]net.Conn, n)
	defer func() {
		for _, conn := range conns {
			if conn != nil {
				conn.Close()
			}
		}
	}()
	for round := 0; !a.ended.Load(); round++ {
		for i := range conns {
			if a.ended.Load() {
				return
			}
			how := slownesses[(first+i)%len(slownesses)]
			if conns[i] != nil && isOpen(conns[i], how.more, round) {
				continue
			}
			if conns[i] != nil {
				conns[i].Close()
			}
			a.dialed.Add(1)
			conns[i], _ = dialer.Dial("tcp", d.address(how.network))
			if conns[i] != nil {
				_, _ = conns[i].Write([]byte(how.begin))
			}
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// isOpen sends the next byte, if there is one, and tells whether the other side is there.
func isOpen(conn net.Conn, more string, round int) bool {
	if more != "" {
		if _, err := conn.Write([]byte{more[round%len(more)]}); err != nil {
			return false
		}
	}
	_ = conn.SetReadDeadline(time.Now().Add(time.Microsecond))
	_, err := conn.Read(make([]byte, 100))
	return err == nil || os.IsTimeout(err)
}
