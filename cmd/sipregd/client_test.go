package main

import (
	"bufio"
	"crypto/md5"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// client is a phone of the tests' own: it registers, one request after the
// other, and gives up soon.
type client struct {
	network, server   string
	authname, secret  string
	aorname, callID   string
	cseq, branch      int
	conn              net.Conn
	reader            *bufio.Reader // of a stream
	answerWithin      time.Duration
	nonce, realmOfNow string
	dial              func(network, address string) (net.Conn, error)
	count             int    // of the nonce
	keeps             bool   // the nonce, as long as it is taken
	move              func() // happens before each request; nil: nothing
}

// reply is a response as far as the tests look at it.
type reply struct {
	status   int
	header   textproto.MIMEHeader
	contacts map[string]int // URI → expires
	versions map[string]int // URI → v, a parameter that says which request bound it
}

var errNoAnswer = errors.New("no answer")

func newClient(network, server, authname, secret, aorname string) *client {
	return &client{
		network: network, server: server, authname: authname, secret: secret, aorname: aorname,
		callID: fmt.Sprintf("%s-%d", aorname, time.Now().UnixNano()), answerWithin: 2 * time.Second, dial: net.Dial,
	}
}

func (c *client) connect() error {
	c.close()
	conn, err := c.dial(c.network, c.server)
	if err != nil {
		return err
	}
	c.conn, c.reader = conn, bufio.NewReader(conn)
	return nil
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// register sends a REGISTER with those lines, and again with credentials
// whenever it is challenged. A request without an answer may have been carried
// out: sent tells whether it had credentials.
func (c *client) register(lines ...string) (answer reply, sent bool, err error) {
	for range 3 {
		if c.move != nil {
			c.move()
		}
		all := lines
		if c.nonce != "" {
			all, sent = append([]string{c.authorization()}, lines...), true
		}
		if answer, err = c.exchange(all); err != nil || answer.status != 401 {
			return answer, sent, err
		}
		c.takeChallenge(answer.header.Get("WWW-Authenticate"))
	}
	return answer, sent, nil
}

var challengeField = regexp.MustCompile(`(realm|nonce)="([^"]*)"`)

func (c *client) takeChallenge(challenge string) {
	for _, field := range challengeField.FindAllStringSubmatch(challenge, -1) {
		if field[1] == "realm" {
			c.realmOfNow = field[2]
		} else {
			c.nonce, c.count = field[2], 0
		}
	}
}

// authorization answers the last challenge, once where it is not kept.
func (c *client) authorization() string {
	hash := func(text string) string { return fmt.Sprintf("%x", md5.Sum([]byte(text))) }
	a1 := hash(c.authname + ":" + c.realmOfNow + ":" + c.secret)
	c.count++
	count := fmt.Sprintf("%08x", c.count)
	response := hash(a1 + ":" + c.nonce + ":" + count + ":c:auth:" + hash("REGISTER:sip:test"))
	line := fmt.Sprintf(`Authorization: Digest username="%s", realm="%s", nonce="%s", uri="sip:test", response="%s", qop=auth, nc=%s, cnonce="c"`,
		c.authname, c.realmOfNow, c.nonce, response, count)
	if !c.keeps {
		c.nonce = ""
	}
	return line
}

// exchange sends a request and waits for its final response.
func (c *client) exchange(lines []string) (reply, error) {
	if c.conn == nil {
		if err := c.connect(); err != nil {
			return reply{}, err
		}
	}
	text := c.request(lines)
	if err := c.conn.SetDeadline(time.Now().Add(c.answerWithin)); err != nil {
		return reply{}, err
	}
	if _, err := c.conn.Write([]byte(text)); err != nil {
		return reply{}, err
	}
	for {
		answer, err := c.read()
		if err != nil {
			return reply{}, errors.Join(errNoAnswer, err)
		}
		if answer.header.Get("CSeq") == fmt.Sprintf("%d REGISTER", c.cseq) {
			return answer, nil
		}
	}
}

// request returns the next one.
func (c *client) request(lines []string) string {
	c.cseq++
	c.branch++
	head := []string{
		"REGISTER sip:test SIP/2.0",
		fmt.Sprintf("Via: SIP/2.0/%s %v;branch=z9hG4bK-%s-%d;rport", strings.ToUpper(c.network), c.conn.LocalAddr(), c.aorname, c.branch),
		fmt.Sprintf("From: <sip:%s@test>;tag=t", c.aorname),
		fmt.Sprintf("To: <sip:%s@test>", c.aorname),
		"Call-ID: " + c.callID,
		fmt.Sprintf("CSeq: %d REGISTER", c.cseq),
		"Content-Length: 0",
	}
	return strings.Join(append(head, lines...), "\r\n") + "\r\n\r\n"
}

// read reads one response.
func (c *client) read() (reply, error) {
	reader := c.reader
	if c.network == "udp" {
		datagram := make([]byte, 65536)
		n, err := c.conn.Read(datagram)
		if err != nil {
			return reply{}, err
		}
		reader = bufio.NewReader(strings.NewReader(string(datagram[:n])))
	}
	return readReply(reader)
}

func readReply(reader *bufio.Reader) (reply, error) {
	text := textproto.NewReader(reader)
	line, err := text.ReadLine()
	if err != nil {
		return reply{}, err
	}
	answer := reply{contacts: map[string]int{}, versions: map[string]int{}}
	if _, err := fmt.Sscanf(line, "SIP/2.0 %d", &answer.status); err != nil {
		return reply{}, err
	}
	if answer.header, err = text.ReadMIMEHeader(); err != nil {
		return reply{}, err
	}
	for _, contact := range answer.header.Values("Contact") {
		uri, params, _ := strings.Cut(strings.TrimPrefix(contact, "<"), ">")
		_, expires, _ := strings.Cut(params, ";expires=")
		seconds, _, _ := strings.Cut(expires, ";")
		if answer.contacts[uri], err = strconv.Atoi(seconds); err != nil {
			return reply{}, err
		}
		if _, version, found := strings.Cut(params, ";v="); found {
			answer.versions[uri], _ = strconv.Atoi(version)
		}
	}
	return answer, nil
}
