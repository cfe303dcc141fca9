package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// hand does one fault after the other.
type hand struct {
	soak   *soak
	random *rand.Rand
}

// fault is what may befall a daemon, and how often it does beside the others.
type fault struct {
	name   string
	weight int
	happen func(*hand)
}

var faults = []fault{
	{"cut streams", 30, (*hand).cut},
	{"slow streams", 15, (*hand).slow},
	{"deaf streams", 5, (*hand).deaf},
	{"garbage", 20, (*hand).garbage},
	{"torture messages", 40, (*hand).torture},
	{"half messages", 20, (*hand).half},
	{"wrong secrets", 20, (*hand).wrongSecret},
	{"scanners", 10, (*hand).scan},
	{"guests", 30, (*hand).guest},
	{"floods", 1, (*hand).flood},
	{"reloads", 8, (*hand).reload},
	{"watchers", 10, (*hand).watch},
	{"look-ups", 20, (*hand).lookUp},
	{"removals", 10, (*hand).removeOne},
	{"bans", 8, (*hand).ban},
	{"stops of the log's reader", 1, (*hand).holdLog},
	{"full disks", 1, (*hand).fillDisk},
	{"moods of the webhook", 6, (*hand).changeWebhook},
}

// run does faults until the soak ends, none at its rests.
func (h *hand) run() {
	all := 0
	for _, f := range faults {
		all += f.weight
	}
	for h.soak.begin() {
		h.soak.count(h.choose(all))
		h.soak.gate.RUnlock()
		time.Sleep(time.Duration(h.random.IntN(200)) * time.Millisecond)
	}
}

// choose has one fault happen, and returns its name.
func (h *hand) choose(all int) string {
	n := h.random.IntN(all)
	for _, f := range faults {
		if n -= f.weight; n < 0 {
			f.happen(h)
			return f.name
		}
	}
	panic("the weights are less than their sum")
}

// stranger is an address that is hardly ever seen twice. No phone of the soak has one
// of them.
func (h *hand) stranger() netip.Addr {
	return netip.AddrFrom4([4]byte{127, byte(64 + h.random.IntN(64)), byte(h.random.IntN(256)), byte(1 + h.random.IntN(254))})
}

func (h *hand) network(of ...string) string { return of[h.random.IntN(len(of))] }

func (h *hand) wait(atMost time.Duration) { time.Sleep(time.Duration(h.random.Int64N(int64(atMost)))) }

// cutting is a connection that ends when so many bytes are written, amid whatever they are.
type cutting struct {
	net.Conn
	mu   sync.Mutex
	left int
}

func (c *cutting) Write(data []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.Conn.Write(data[:min(len(data), c.left)])
	if c.left -= n; c.left == 0 {
		c.Close()
		return n, net.ErrClosed
	}
	return n, err
}

// cut ends a stream within the handshake or a message, in one of both ways of TCP.
func (h *hand) cut() {
	network := h.network("tcp", "tls", "ws", "wss")
	conn, err := h.soak.dialFrom(h.stranger(), network)
	if err != nil {
		h.soak.fail("%s: %v", network, err)
		return
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetLinger(h.random.IntN(2) - 1)
	c := &cutting{Conn: conn, left: 1 + h.random.IntN(1500)}
	_ = c.SetDeadline(time.Now().Add(3 * time.Second))
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	stream, err := h.soak.d.dialOver(ctx, c, network, h.soak.config)
	if err != nil {
		return
	}
	message := h.message()
	for range 20 {
		if _, err := stream.Write(message); err != nil {
			return
		}
	}
}

// slow holds a stream open with a byte now and then.
func (h *hand) slow() {
	how := slownesses[h.random.IntN(len(slownesses))]
	conn, err := h.soak.dialFrom(h.stranger(), how.network)
	if err != nil {
		h.soak.fail("%s: %v", how.network, err)
		return
	}
	defer conn.Close()
	_, _ = conn.Write([]byte(how.begin))
	for round := range h.random.IntN(20) {
		if !isOpen(conn, how.more, round) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// deaf sends requests, reads no answer, and goes.
func (h *hand) deaf() {
	conn, err := h.soak.dialFrom(h.stranger(), "tcp")
	if err != nil {
		h.soak.fail("tcp: %v", err)
		return
	}
	defer conn.Close()
	_ = conn.SetWriteDeadline(time.Now().Add(2 * time.Second))
	message := h.message()
	for range 2000 {
		if _, err := conn.Write(message); err != nil {
			break
		}
	}
	h.wait(time.Second)
}

// message is a request that is well-formed and nobody's.
func (h *hand) message() []byte {
	c := newClient("tcp", "", "", "", strconv.Itoa(h.random.IntN(1000)))
	c.conn = webSocket{local: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9}}
	c.branch = h.random.Int()
	return []byte(c.request(nil))
}

func (h *hand) send(network string, data ...[]byte) {
	conn, err := h.soak.dialFrom(h.stranger(), network)
	if err != nil {
		h.soak.fail("%s: %v", network, err)
		return
	}
	defer conn.Close()
	for _, message := range data {
		_, _ = conn.Write(message)
	}
	_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	_, _ = conn.Read(make([]byte, 2048))
}

func (h *hand) garbage() {
	data := make([]byte, 1+h.random.IntN(2000))
	for i := range data {
		data[i] = byte(h.random.Uint32())
	}
	h.send(h.network("udp", "udp", "tcp", "tls", "ws", "wss"), data)
}

func (h *hand) torture() {
	h.send(h.network("udp", "tcp"), h.soak.torture[h.random.IntN(len(h.soak.torture))])
}

func (h *hand) half() {
	message := h.soak.torture[h.random.IntN(len(h.soak.torture))]
	h.send(h.network("udp", "tcp"), message[:h.random.IntN(len(message)+1)])
}

// try registers from an address, and does not mind what comes of it.
func (h *hand) try(at netip.Addr, authname, secret, aorname string) {
	network := h.network("udp", "udp", "tcp")
	conn, err := h.soak.dialFrom(at, network)
	if err != nil {
		h.soak.fail("%s: %v", network, err)
		return
	}
	defer conn.Close()
	c := newClient(network, "", authname, secret, aorname)
	c.answerWithin = 200 * time.Millisecond
	c.dial = func(string, string) (net.Conn, error) { return conn, nil }
	if err := c.connect(); err == nil {
		_, _, _ = c.register("Contact: <sip:" + aorname + "@127.0.0.1:9>;expires=60")
	}
}

func (h *hand) wrongSecret() {
	n := strconv.Itoa(h.random.IntN(len(h.soak.phones)))
	h.try(h.stranger(), n, "wrong", n)
}

// scan tries names until it is banned, from one of a few addresses or a new one.
func (h *hand) scan() {
	at := h.stranger()
	if h.random.IntN(2) == 0 {
		at = netip.AddrFrom4([4]byte{127, 60, 0, byte(1 + h.random.IntN(50))})
	}
	for range 11 {
		h.try(at, fmt.Sprintf("scan-%d", h.random.Int()), "guess", "100")
	}
}

// guest is a phone whose peer comes and goes.
func (h *hand) guest() {
	n := h.random.IntN(guests)
	h.try(netip.AddrFrom4([4]byte{127, 61, 0, byte(1 + n)}), fmt.Sprintf("guest-%d", n), "welcome", fmt.Sprintf("guest-%d", n))
}

func (h *hand) flood() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	floodFrom(h.soak.t, ctx, h.soak.d, h.stranger())
}
