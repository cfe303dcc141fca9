package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// timerF is how long a phone waits for an answer in all, and timerE how long before it
// sends a datagram again, at first and at most (RFC 3261 §17.1.2.2).
const (
	timerF      = 32 * time.Second
	firstTimerE = 500 * time.Millisecond
	lastTimerE  = 4 * time.Second
)

// soakPhone is a phone that does everything right: it sends again what is not answered,
// opens a stream again that has ended, and says what it is asked.
type soakPhone struct {
	*client
	soak     *soak
	random   *rand.Rand
	at       netip.Addr
	stays    bool     // where it is, on one stream all the time
	outbound bool     // RFC 5626
	roams    bool     // from one AOR to the next: its peer may bind any
	socket   net.Conn // below TLS and WebSocket
	heard    chan reply
	reading  sync.WaitGroup
	silent   atomic.Bool // it answers no OPTIONS
	bound    time.Time   // until then
}

// run has the phone register until the soak ends.
func (p *soakPhone) run() {
	for p.soak.begin() {
		p.turn()
		p.soak.gate.RUnlock()
		time.Sleep(time.Duration(100+p.random.IntN(400)) * time.Millisecond)
	}
}

// turn registers once, mostly, behind something that befalls phones.
func (p *soakPhone) turn() {
	switch p.random.IntN(20) {
	case 0:
		p.reboot()
	case 1:
		p.silent.Store(!p.silent.Load())
	case 2:
		p.move()
	case 3:
		p.vanish()
	}
	if p.roams {
		p.aorname = fmt.Sprintf("roaming-%d", p.random.Int64())
		p.reboot()
	}
	lines, contact, lasts := p.change()
	answer, err := p.register(lines)
	switch {
	case err != nil:
		p.soak.fail("%s by %s: %v was not answered within %v: %v", p.aorname, p.network, lines, timerF, err)
	case answer.status != 200:
		p.soak.fail("%s by %s: %v was answered %d", p.aorname, p.network, lines, answer.status)
	case contact != "" && answer.contacts[contact] == 0:
		p.soak.fail("%s by %s: %s is not among what is bound: %v", p.aorname, p.network, contact, answer.contacts)
	case lasts == 0:
		p.soak.count("other REGISTERs")
	case time.Now().Before(p.bound):
		p.soak.count("refreshes")
	default:
		p.soak.count("registrations")
	}
	p.bound = time.Now().Add(lasts)
}

// reboot has the phone begin anew with another Call-ID.
func (p *soakPhone) reboot() {
	p.callID, p.cseq, p.nonce = fmt.Sprintf("%s-%d", p.aorname, p.random.Int64()), 0, ""
}

// move gives the phone another address, of 4096.
func (p *soakPhone) move() {
	if !p.stays {
		p.hangUp()
		p.at = netip.AddrFrom4([4]byte{127, 0, byte(16 + p.random.IntN(16)), byte(1 + p.random.IntN(254))})
	}
}

// vanish takes the phone's connection away as a loss of power does.
func (p *soakPhone) vanish() {
	if stream, is := p.socket.(*net.TCPConn); is && p.conn != nil && !p.stays {
		_ = stream.SetLinger(0)
		stream.Close()
		p.hangUp()
	}
}

// change chooses what to ask for. The Contact that has to be bound then is empty where
// there is none.
func (p *soakPhone) change() (lines []string, contact string, lasts time.Duration) {
	uri := fmt.Sprintf("sip:%s@%v:9", p.aorname, p.at)
	if p.conn != nil {
		uri = fmt.Sprintf("sip:%s@%v", p.aorname, p.conn.LocalAddr())
	}
	if p.network != "udp" {
		uri += ";transport=" + strings.Replace(p.network, "wss", "ws", 1)
	}
	switch p.random.IntN(12) {
	case 0:
		return []string{"Contact: *", "Expires: 0"}, "", 0
	case 1:
		return []string{"Contact: <" + uri + ">;expires=0"}, "", 0
	case 2:
		return nil, "", 0
	}
	seconds := [...]int{1, 1, 2, 60, 600}[p.random.IntN(5)]
	line := fmt.Sprintf("Contact: <%s>;expires=%d", uri, seconds)
	if p.outbound {
		line += fmt.Sprintf(`;reg-id=%d;+sip.instance="<urn:uuid:00000000-0000-1000-8000-%012d>"`, 1+p.random.IntN(2), p.random.IntN(3))
		lines = append(lines, "Supported: path, outbound, gruu")
	}
	return append(lines, line), uri, time.Duration(seconds) * time.Second
}

// register sends a REGISTER with those lines, and again with credentials whenever it is
// challenged.
func (p *soakPhone) register(lines []string) (answer reply, err error) {
	for range 3 {
		all := lines
		if p.nonce != "" {
			all = append([]string{p.authorization()}, lines...)
		}
		if answer, err = p.exchange(all); err != nil || answer.status != 401 {
			return answer, err
		}
		p.takeChallenge(answer.header.Get("WWW-Authenticate"))
	}
	return answer, nil
}

// exchange waits for the answer to a request until Timer F, on as many streams as it takes.
func (p *soakPhone) exchange(lines []string) (answer reply, err error) {
	for until := time.Now().Add(timerF); time.Now().Before(until); time.Sleep(firstTimerE) {
		if answer, err = p.exchangeOnce(lines, until); err == nil {
			return answer, nil
		}
		if p.stays {
			p.soak.fail("%s: the stream by %s did not live on: %v", p.aorname, p.network, err)
		}
		p.hangUp()
		p.soak.count("sockets anew")
	}
	return reply{}, err
}

func (p *soakPhone) exchangeOnce(lines []string, until time.Time) (reply, error) {
	if p.conn == nil {
		if err := p.connect(); err != nil {
			return reply{}, err
		}
	}
	request := p.request(lines)
	_ = p.socket.SetWriteDeadline(until)
	if p.network != "udp" {
		if _, err := p.conn.Write([]byte(request)); err != nil {
			return reply{}, err
		}
		return p.hear(time.Until(until))
	}
	for wait := firstTimerE; time.Now().Before(until); wait = min(2*wait, lastTimerE) {
		for range 1 + p.random.IntN(20)/19 { // now and then the network doubles it
			if _, err := p.conn.Write([]byte(request)); err != nil {
				return reply{}, err
			}
		}
		if answer, err := p.hear(min(wait, time.Until(until))); !errors.Is(err, errNoAnswer) {
			return answer, err
		}
		p.soak.count("datagrams again")
	}
	return reply{}, errNoAnswer
}

// hear waits for the answer to the last request.
func (p *soakPhone) hear(wait time.Duration) (reply, error) {
	for timeout := time.After(wait); ; {
		select {
		case answer, open := <-p.heard:
			if !open {
				return reply{}, net.ErrClosed
			}
			if answer.header.Get("CSeq") == fmt.Sprintf("%d REGISTER", p.cseq) {
				return answer, nil
			}
		case <-timeout:
			return reply{}, errNoAnswer
		}
	}
}

func (p *soakPhone) connect() (err error) {
	if p.socket, err = p.soak.dialFrom(p.at, p.network); err != nil {
		return err
	}
	conn := p.socket
	if p.network != "udp" {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if conn, err = p.soak.d.dialOver(ctx, conn, p.network, p.soak.config); err != nil {
			return err
		}
	}
	heard := make(chan reply, 16)
	p.conn, p.heard = conn, heard
	p.reading.Go(func() {
		defer close(heard)
		p.listen(conn, heard)
	})
	return nil
}

// hangUp ends the connection, if there is one.
func (p *soakPhone) hangUp() {
	p.close()
	p.reading.Wait()
}

// listen takes what comes until the connection ends, and answers what is asked.
func (p *soakPhone) listen(conn net.Conn, heard chan<- reply) {
	for reader := bufio.NewReaderSize(conn, 65536); ; {
		text, err := nextHead(reader)
		if err != nil {
			return
		}
		if !strings.HasPrefix(text, "SIP/2.0 ") {
			if !p.silent.Load() {
				_, _ = conn.Write([]byte(ok(text)))
			}
			continue
		}
		answer, err := readReply(bufio.NewReader(strings.NewReader(text)))
		if err != nil {
			p.soak.fail("%s: %v in the answer\n%s", p.aorname, err, text)
			return
		}
		select {
		case heard <- answer:
		default: // nobody waits for so many
		}
	}
}
