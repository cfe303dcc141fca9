package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"sipregd/internal/race"
)

// idleBytes is what a silent stream may take on which a phone has registered, its binding
// included, by transport. What is beyond 10 KB crypto/tls keeps: 3.5 KB of buffers that
// have held the handshake and the largest record, 1.8 KB of AES keys.
var idleBytes = map[string]int{"tcp": 8 << 10, "ws": 11 << 10, "tls": 16 << 10, "wss": 19 << 10}

// idleStreams is how many there are of a kind.
func idleStreams(t *testing.T) int {
	text := os.Getenv("SIPREGD_IDLE")
	if text == "" {
		return 1000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A silent stream takes little, by whatever transport. Memory that lives is meant: the
// daemon is told to keep no garbage.
func TestAnIdleStreamTakesLittle(t *testing.T) {
	if race.Enabled() {
		t.Skip("the race detector takes more than the daemon")
	}
	for _, network := range []string{"tcp", "ws", "tls", "wss"} {
		t.Run(network, func(t *testing.T) {
			n := idleStreams(t)
			d, config := startCrowded(t, n)
			d.crowd(t, network, config, 0, 50) // makes what is there once
			before := d.resident(t)
			d.crowd(t, network, config, 50, n)
			each := (d.resident(t) - before) / n
			t.Logf("%d idle streams: %d bytes each", n, each)
			if each > idleBytes[network] {
				t.Errorf("an idle stream takes %d bytes, more than %d", each, idleBytes[network])
			}
		})
	}
}

// startCrowded runs a daemon that has as many peers as that and 50 more, and keeps no garbage.
func startCrowded(t *testing.T, n int) (*daemon, *tls.Config) {
	t.Helper()
	d, config := prepareCrowd(t, n+50, "[admin]\nsocket = sipregd.sock\nrecent_memory = 0\n", "")
	d.environment = []string{"GOMEMLIMIT=1MiB"}
	d.run(t)
	return d, config
}

// startScrapedCrowd runs one that takes as many streams, and returns where its metrics are.
func startScrapedCrowd(t *testing.T, streams int) (d *daemon, config *tls.Config, metrics string) {
	t.Helper()
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	d, config = prepareCrowd(t, 10, "[admin]\nsocket = sipregd.sock\nhttp = "+address+"\n", fmt.Sprintf("max_streams = %d\n", streams))
	d.run(t)
	return d, config, "http://" + address + "/metrics"
}

// prepareCrowd prepares a daemon that has peers named by numbers, and listens on all
// transports.
func prepareCrowd(t *testing.T, n int, admin, listen string) (*daemon, *tls.Config) {
	t.Helper()
	var peers strings.Builder
	for i := range n {
		fmt.Fprintf(&peers, "[peer %d]\nauthname = %d\nsecret = correct-horse\naorname = %d\n", i, i, i)
	}
	a := newAuthority(t)
	d := prepareDaemon(t, "[location]\nstore = memory\n"+admin, peers.String())
	address := func() netip.AddrPort { return netip.AddrPortFrom(d.udp.Addr(), uint16(freePort(t))) }
	d.tls, d.wss, d.ws = address(), address(), address()
	a.sign(t, d.directory, 1)
	path := filepath.Join(d.directory, "sipregd.conf")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, strings.Replace(string(text), "[listen]\n", fmt.Sprintf(
		"[listen]\ntls = %v\nwss = %v\nws = %v\ncertificate = chain.pem\nprivate_key = key.pem\n%s", d.tls, d.wss, d.ws, listen), 1))
	roots := x509.NewCertPool()
	roots.AddCert(a.certificate)
	return d, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
}

// address returns where a daemon listens by a transport.
func (d *daemon) address(network string) string {
	return map[string]netip.AddrPort{"tcp": d.tcp, "tls": d.tls, "ws": d.ws, "wss": d.wss}[network].String()
}

// crowd registers peers, each on a stream of its own that is left alone then.
func (d *daemon) crowd(t *testing.T, network string, config *tls.Config, from, n int) {
	t.Helper()
	numbers := make(chan int)
	var working sync.WaitGroup
	for range 8 {
		working.Go(func() {
			for i := range numbers {
				if err := d.registerIdle(t, network, config, i); err != nil {
					t.Errorf("stream %d: %v", i, err)
				}
			}
		})
	}
	for i := range n {
		numbers <- from + i
	}
	close(numbers)
	working.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

func (d *daemon) registerIdle(t *testing.T, network string, config *tls.Config, number int) error {
	name := strconv.Itoa(number)
	c := newClient(network, "", name, "correct-horse", name)
	var err error
	if c.conn, err = d.dialBy(t, network, config); err != nil {
		return err
	}
	t.Cleanup(c.close)
	c.reader, c.answerWithin = bufio.NewReader(c.conn), patience
	answer, _, err := c.register(fmt.Sprintf("Contact: <sip:%s@127.0.0.1:9>", name))
	if err == nil && answer.status != 200 {
		err = fmt.Errorf("answered %d", answer.status)
	}
	return err
}

// dialBy opens a stream by a transport.
func (d *daemon) dialBy(t *testing.T, network string, config *tls.Config) (net.Conn, error) {
	conn, err := net.Dial("tcp", d.address(network))
	if err != nil {
		return nil, err
	}
	return d.dialOver(t.Context(), conn, network, config)
}

// dialOver opens a stream by a transport over a connection of TCP, which ends with it.
// The context is that of the handshake of a WebSocket.
func (d *daemon) dialOver(ctx context.Context, conn net.Conn, network string, config *tls.Config) (net.Conn, error) {
	switch network {
	case "tcp":
		return conn, nil
	case "tls":
		secured := tls.Client(conn, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		return secured, nil
	}
	dial := func(context.Context, string, string) (net.Conn, error) { return conn, nil }
	socket, _, err := websocket.Dial(ctx, network+"://"+d.address(network), &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: &http.Transport{TLSClientConfig: config, DialContext: dial}}, Subprotocols: []string{"sip"}})
	if err != nil {
		conn.Close()
		return nil, err
	}
	return webSocket{websocket.NetConn(context.WithoutCancel(ctx), socket, websocket.MessageText), conn.LocalAddr()}, nil
}

var residentField = regexp.MustCompile(`(?m)^VmRSS:\s+(\d+) kB$`)

// resident returns how many bytes the daemon has in memory, once that does not fall any more.
func (d *daemon) resident(t *testing.T) int {
	t.Helper()
	least, since := 1<<60, time.Now()
	for ; time.Since(since) < 2*time.Second; time.Sleep(100 * time.Millisecond) {
		if now := d.residentNow(t); now < least {
			least, since = now, time.Now()
		}
	}
	return least
}

// residentNow returns how many bytes the daemon has in memory.
func (d *daemon) residentNow(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.command.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	field := residentField.FindSubmatch(status)
	if field == nil {
		t.Fatalf("no VmRSS in %s", status)
	}
	kilobytes, err := strconv.Atoi(string(field[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}
