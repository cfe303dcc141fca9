package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// ata is a phone at home in a natLab. It writes its private address into Via, and
// answers what it is asked.
type ata struct {
	*client
	lab  *natLab
	line *line
}

// line is the socket of an ATA. The client that registers reads the responses from it;
// requests are answered.
type line struct {
	net.Conn // the client's end of a pipe
	socket   net.Conn
	mute     atomic.Bool // requests are taken and not answered
	mu       sync.Mutex
	requests []string // first lines
}

// newATA is a phone of phonePeers that is plugged in until the test ends.
func (l *natLab) newATA(t *testing.T, d *daemon, network string) *ata {
	t.Helper()
	a := &ata{client: newClient(network, d.udp.String(), "b41d77", "correct-horse", "2001"), lab: l}
	a.plug(t)
	return a
}

// plug gives the phone a new socket at home.
func (a *ata) plug(t *testing.T) {
	t.Helper()
	near, far := net.Pipe()
	l := &line{Conn: near}
	within(t, a.lab.home, func() {
		var err error
		if l.socket, err = net.Dial(a.network, a.server); err != nil {
			t.Fatal(err)
		}
	})
	a.line, a.conn, a.reader = l, l, bufio.NewReader(l)
	var done sync.WaitGroup
	done.Go(func() { l.listen(far) })
	t.Cleanup(func() {
		l.Close()
		far.Close()
		done.Wait()
	})
}

func (l *line) Write(data []byte) (int, error) { return l.socket.Write(data) }

func (l *line) LocalAddr() net.Addr { return l.socket.LocalAddr() }

func (l *line) Close() error {
	l.Conn.Close()
	return l.socket.Close()
}

// reset ends a connection as a phone does that loses its power, and then gets a
// packet of it.
func (l *line) reset(t *testing.T) {
	t.Helper()
	if err := l.socket.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	l.Close()
}

// listen takes what comes until the socket is closed. That nobody listened to what it
// sent (ICMP) does not matter.
func (l *line) listen(responses net.Conn) {
	for reader := bufio.NewReaderSize(l.socket, 65536); ; {
		text, err := nextHead(reader)
		switch {
		case errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF):
			return
		case err != nil:
		case strings.HasPrefix(text, "SIP/2.0 "):
			_, _ = responses.Write([]byte(text))
		default:
			l.take(text)
		}
	}
}

// nextHead reads a message without a body, which a datagram holds whole. Keepalives
// before it are left out (RFC 5626 section 3.5.1).
func nextHead(reader *bufio.Reader) (string, error) {
	for text := ""; ; {
		row, err := reader.ReadString('\n')
		if err != nil {
			return "", err
		}
		switch blank := strings.TrimSpace(row) == ""; {
		case blank && text != "":
			return text + row, nil
		case !blank:
			text += row
		}
	}
}

// take notes a request, and answers it.
func (l *line) take(request string) {
	first, _, _ := strings.Cut(request, "\r\n")
	l.mu.Lock()
	l.requests = append(l.requests, first)
	l.mu.Unlock()
	if strings.HasSuffix(first, " SIP/2.0") && !l.mute.Load() {
		_, _ = l.socket.Write([]byte(ok(request)))
	}
}

// ok is a 200 (RFC 3261 section 8.2.6.2).
func ok(request string) string {
	answer := "SIP/2.0 200 OK\r\n"
	for row := range strings.Lines(request) {
		switch name, _, _ := strings.Cut(row, ":"); {
		case slices.Contains([]string{"Via", "From", "Call-ID", "CSeq"}, name):
			answer += row
		case name == "To":
			answer += strings.TrimRight(row, "\r\n") + ";tag=ata\r\n"
		}
	}
	return answer + "Content-Length: 0\r\n\r\n"
}

func (l *line) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.requests)
}

// got counts the requests so far that begin with a text.
func (l *line) got(text string) (times int) {
	for _, first := range l.all() {
		if strings.HasPrefix(first, text) {
			times++
		}
	}
	return times
}

// waitAsked waits for one more OPTIONS with that Request-URI.
func (a *ata) waitAsked(t *testing.T, uri string) {
	t.Helper()
	text := "OPTIONS " + uri + " SIP/2.0"
	a.waitMore(t, text, a.line.got(text))
}

// waitGot waits for what begins with a text and came just now, or comes.
func (a *ata) waitGot(t *testing.T, text string) {
	t.Helper()
	a.waitMore(t, text, 0)
}

func (a *ata) waitMore(t *testing.T, text string, before int) {
	t.Helper()
	for deadline := time.Now().Add(patience); a.line.got(text) <= before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the phone got no more than %d of %q, of %q", before, text, a.line.all())
		}
	}
}

// private is the Contact URI of a phone that does not know of the NAT.
func (a *ata) private() string {
	uri := "sip:2001@" + a.conn.LocalAddr().String()
	if a.network == "tcp" {
		uri += ";transport=tcp"
	}
	return uri
}

// bind registers a Contact, which has to be answered by 200 with one binding, and
// returns the public side of the mapping.
func (a *ata) bind(t *testing.T, uri string) netip.AddrPort {
	t.Helper()
	answer := a.mustAnswer(t, 200, contactLine(uri, 60))
	if _, listed := answer.contacts[uri]; !listed {
		t.Errorf("%s is not among what the 200 lists: %v", uri, answer.contacts)
	}
	return mapping(t, answer)
}

// learn asks for the bindings and returns the public side of the mapping.
func (a *ata) learn(t *testing.T) netip.AddrPort {
	t.Helper()
	return mapping(t, a.mustAnswer(t, 200))
}

var receivedRport = regexp.MustCompile(`;(received|rport)=([^;]+)`)

// mapping is what a response says of where the request came from (RFC 3581 section 4).
func mapping(t *testing.T, answer reply) netip.AddrPort {
	t.Helper()
	says := map[string]string{}
	for _, field := range receivedRport.FindAllStringSubmatch(answer.header.Get("Via"), -1) {
		says[field[1]] = field[2]
	}
	address, err := netip.ParseAddrPort(says["received"] + ":" + says["rport"])
	if err != nil || address.Addr() != routerAddress {
		t.Fatalf("Via says %q, %v", answer.header.Get("Via"), err)
	}
	return address
}
