package main

import (
	"bytes"
	"crypto/md5"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	tortureDirectory = "../../testdata/torture"
	torturePeers     = "[torture]\nauthname = torture\nsecret = secret\naorname = *\n"
)

// tortureCase is a line of testdata/torture/cases.txt.
type tortureCase struct {
	name    string
	status  int            // 0: silence
	pattern *regexp.Regexp // in the response
	without bool           // the pattern must not be there
	message []byte
}

func readTortureCases(t *testing.T) []tortureCase {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(tortureDirectory, "cases.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []tortureCase
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			cases = append(cases, readTortureCase(t, strings.TrimSuffix(line, "\n")))
		}
	}
	return cases
}

func readTortureCase(t *testing.T, line string) tortureCase {
	t.Helper()
	columns := strings.Split(line, " | ")
	if len(columns) != 5 {
		t.Fatalf("not five columns: %s", line)
	}
	status, err := strconv.Atoi(columns[2])
	if err != nil && columns[2] != "none" {
		t.Fatalf("no status: %s", line)
	}
	pattern, without := strings.CutPrefix(columns[3], "!")
	message, err := os.ReadFile(filepath.Join(tortureDirectory, columns[0]+".sip"))
	if err != nil {
		t.Fatal(err)
	}
	return tortureCase{columns[0], status, regexp.MustCompile(pattern), without, message}
}

// TestTortureFiles sees to it that each message is in the table, and once.
func TestTortureFiles(t *testing.T) {
	rows := map[string]int{}
	for _, c := range readTortureCases(t) {
		rows[c.name+".sip"]++
	}
	files, err := filepath.Glob(filepath.Join(tortureDirectory, "*.sip"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if n := rows[filepath.Base(file)]; n != 1 {
			t.Errorf("%s stands in cases.txt %d times", file, n)
		}
	}
}

// TestTorture sends each message of the set (RFC 4475, RFC 5118 and others) to one
// daemon, which has to answer as the table says and to live on.
func TestTorture(t *testing.T) {
	d := startDaemon(t, "", torturePeers)
	for _, c := range readTortureCases(t) {
		t.Run(c.name, func(t *testing.T) { c.play(t, d) })
	}
}

// Where calls are answered, who calls is asked to prove who he is, unless he calls within
// a dialog, or somebody whom no URI of SIP names. All else is as before.
func TestTortureOfARedirectServer(t *testing.T) {
	d := startDaemon(t, redirecting, torturePeers)
	for _, c := range readTortureCases(t) {
		if c.status == 405 {
			c.status, c.pattern = 401, regexp.MustCompile("WWW-Authenticate: Digest ")
		}
		if c.isOptionsOfAName() {
			c.status, c.pattern, c.without = 401, regexp.MustCompile("WWW-Authenticate: Digest "), false
		}
		t.Run(c.name, func(t *testing.T) { c.play(t, d) })
	}
}

// isOptionsOfAName tells whether the message asks for the abilities of a phone.
func (c *tortureCase) isOptionsOfAName() bool {
	line, _, _ := bytes.Cut(bytes.TrimLeft(c.message, "\r\n"), []byte("\n"))
	return (c.status == 200 || c.status == 420) && bytes.HasPrefix(line, []byte("OPTIONS ")) && bytes.ContainsRune(line, '@')
}

// play sends the message and looks at the answer.
func (c *tortureCase) play(t *testing.T, d *daemon) {
	conn, port := dialDaemon(t, d)
	message := bytes.ReplaceAll(c.message, []byte("{{PORT}}"), []byte(port))
	response := exchange(t, conn, message)
	if c.status == 0 {
		if response != "" {
			t.Errorf("answered:\n%q", response)
		}
		return
	}
	c.check(t, response)
	checkResponseLines(t, response)
	checkCopies(t, string(message), response, port)
}

// TestTortureBindings goes on where the point of a message is what it registers
// (RFC 4475 3.1.1.4 and 3.3.12 to 3.3.14, and others): it answers the challenge.
func TestTortureBindings(t *testing.T) {
	tests := []struct {
		name     string
		contacts []string // patterns of what the 200 lists
	}{
		{"escaped-nulls", []string{`^<sip:a%00@192\.0\.2\.40>`, `^<sip:a%00b@192\.0\.2\.40>`, `^<sip:%00@192\.0\.2\.40>`}},
		{"contact-parameter", []string{`^<sip:\+4930555019@192\.0\.2\.40>.*;colour=blue`}},
		{"contact-uri-parameter", []string{`^<sip:\+4930555019@192\.0\.2\.40;colour=blue>;expires=3600$`}},
		{"contact-uri-parameter-apart", []string{`^<sip:anna@192\.0\.2\.40;expires=60>;expires=120$`}},
		{"contact-uri-headers", []string{`^<sip:anna@192\.0\.2\.40\?Subject=%3CLunch%3E&Priority=urgent>`}},
		{"semicolon-in-user", []string{`^<sip:2041;wing=east%40home;lr@192\.0\.2\.40;ob>`}},
		{"white-space", []string{`^<sip:2041@192\.0\.2\.40>.*;q=0\.5(;|$)`, `^<sip:2041@192\.0\.2\.41>.*;q=0\.25(;|$)`}},
		{"escaped-quote-in-display-name", []string{`<sip:anna@192\.0\.2\.40>`, `<sip:anna@192\.0\.2\.41>`}},
		{"parameters-with-blanks", []string{`^<sip:anna@192\.0\.2\.40>.*;expires=60(;|$)`}},
		{"bare-lf-folded", []string{`^<sip:anna@192\.0\.2\.40>.*;expires=60(;|$)`}},
		{"expires-too-large", []string{`^<sip:anna@192\.0\.2\.40>.*;expires=3600(;|$)`}},
		{"expires-malformed", []string{`^<sip:anna@192\.0\.2\.40>;expires=3600$`}},
		{"ipv6-request-uri", []string{`^<sip:anna@\[2001:db8::9:1\]>;expires=3600$`}},
		{"ipv6-port-within-brackets", []string{`^<sip:anna@\[2001:db8::9:1:5070\]>`}},
		{"ipv6-port-behind-brackets", []string{`^<sip:anna@\[2001:db8::9:1\]:5070>`}},
		{"ipv6-beside-ipv4", []string{`^<sip:anna@\[2001:db8::9:1\]>;q=0\.5;`, `^<sip:anna@192\.0\.2\.40>`}},
		{"ipv6-of-ipv4", []string{`^<sip:anna@\[::ffff:192\.0\.2\.40\]>`}},
		{"ipv6-three-colons", []string{`^<sip:anna@\[2001:db8:::192\.0\.2\.40\]>`}}, // the same as with two
		{"percent-in-field-name", []string{`^<sip:anna@192\.0\.2\.40>`}},
	}
	d := startDaemon(t, "", torturePeers)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			message, err := os.ReadFile(filepath.Join(tortureDirectory, test.name+".sip"))
			if err != nil {
				t.Fatal(err)
			}
			ownAOR := []byte("\nTo: <sip:" + test.name + "@") // no bindings of other rows
			message = bytes.Replace(message, []byte("\nTo: <sip:anna@"), ownAOR, 1)
			conn, _ := dialDaemon(t, d)
			send(t, conn, withCredentials(t, message, exchange(t, conn, message)))
			response := receive(t, conn)
			got := regexp.MustCompile(`\r\nContact: ([^\r]*)`).FindAllStringSubmatch(response, -1)
			if !strings.HasPrefix(response, "SIP/2.0 200 ") || len(got) != len(test.contacts) {
				t.Fatalf("want %d bindings:\n%q", len(test.contacts), response)
			}
			for _, want := range test.contacts {
				if !slices.ContainsFunc(got, func(contact []string) bool {
					return regexp.MustCompile(want).MatchString(contact[1])
				}) {
					t.Errorf("no %s in\n%q", want, response)
				}
			}
		})
	}
}

// withCredentials returns the message as a client of RFC 2069 sends it again
// when challenged, in another transaction.
func withCredentials(t *testing.T, message []byte, challenge string) []byte {
	t.Helper()
	nonce := regexp.MustCompile(`nonce="([^"]+)"`).FindStringSubmatch(challenge)
	if nonce == nil {
		t.Fatalf("no challenge:\n%q", challenge)
	}
	hash := func(text string) string { return fmt.Sprintf("%x", md5.Sum([]byte(text))) }
	requestLine, rest, _ := strings.Cut(string(message), "\n")
	uri := strings.Fields(requestLine)[1]
	authorization := fmt.Sprintf("Authorization: Digest username=\"torture\", realm=\"sipregd\", nonce=\"%s\", uri=\"%s\", response=\"%s\"\r\n",
		nonce[1], uri, hash(hash("torture:sipregd:secret")+":"+nonce[1]+":"+hash("REGISTER:"+uri)))
	return []byte(requestLine + "\n" + authorization + strings.Replace(rest, "z9hG4bK", "z9hG4bKagain", 1))
}

// dialDaemon returns a socket of its own that talks to the daemon, and its port.
func dialDaemon(t *testing.T, d *daemon) (conn *net.UDPConn, port string) {
	t.Helper()
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(d.udp))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn, strconv.Itoa(conn.LocalAddr().(*net.UDPAddr).Port)
}

// exchange sends a message and behind it a ping, one of those that are answered
// however many there are, and returns what came before
// the ping's answer: the response, or nothing. An answer that rests on bindings
// comes later.
func exchange(t *testing.T, conn *net.UDPConn, message []byte) (response string) {
	t.Helper()
	ping := fmt.Sprintf("REGISTER sip:ping SIP/2.0\r\nVia: SIP/2.0/UDP %v;branch=z9hG4bKping;rport\r\n"+
		"From: <sip:p@p>;tag=p\r\nTo: <sip:p@p>\r\nCall-ID: the-ping\r\nCSeq: 1 REGISTER\r\n\r\n", conn.LocalAddr())
	send(t, conn, message)
	send(t, conn, []byte(ping))
	for {
		data := receive(t, conn)
		if strings.Contains(data, "Call-ID: the-ping\r\n") {
			return response
		}
		if response != "" {
			t.Fatalf("a second answer:\n%q", data)
		}
		response = data
	}
}

func send(t *testing.T, conn *net.UDPConn, message []byte) {
	t.Helper()
	if _, err := conn.Write(message); err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, conn *net.UDPConn) string {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 65536)
	n, err := conn.Read(buffer)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("the daemon does not answer any more")
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(buffer[:n])
}

func (c *tortureCase) check(t *testing.T, response string) {
	t.Helper()
	if !strings.HasPrefix(response, fmt.Sprintf("SIP/2.0 %d ", c.status)) {
		t.Fatalf("want %d for\n%q\ngot\n%q", c.status, c.message, response)
	}
	if c.pattern.MatchString(response) == c.without {
		t.Errorf("%v (not: %v) and the response disagree:\n%q", c.pattern, c.without, response)
	}
}

var (
	responseHeader = regexp.MustCompile("^(Via|From|To|Call-ID|CSeq|WWW-Authenticate|Allow|Accept|" +
		"Accept-Encoding|Supported|Unsupported|Content-Length|Date|Contact|Min-Expires): ")
	// A quoted-string may hold any character behind a backslash but for CR and
	// LF (RFC 3261 §25.1).
	quotedString = regexp.MustCompile(`"([^"\\[:cntrl:]]|\t|\\[^\r\n])*"`)
	control      = regexp.MustCompile(`[^\t[:^cntrl:]]`)
)

func hasControl(line string) bool {
	return control.MatchString(quotedString.ReplaceAllString(line, ""))
}

// checkResponseLines sees to it that nothing of a request has broken out of
// its line in the response.
func checkResponseLines(t *testing.T, response string) {
	t.Helper()
	head, body, found := strings.Cut(response, "\r\n\r\n")
	if !found || body != "" {
		t.Errorf("the response has no end, or a body:\n%q", response)
	}
	for i, line := range strings.Split(head, "\r\n") {
		if i > 0 && !responseHeader.MatchString(line) {
			t.Errorf("a line that no one asked for: %q", line)
		}
		if hasControl(line) {
			t.Errorf("a control character: %q", line)
		}
	}
}

// checkCopies compares what a response has to take over from its request (RFC
// 3261 §8.2.6.2), as far as it stands there on lines without control characters.
func checkCopies(t *testing.T, request, response, port string) {
	t.Helper()
	sent, got := fieldsOf(request), fieldsOf(response)
	for _, name := range [...]string{"From", "To", "Call-ID", "CSeq"} {
		if len(sent[name]) == 0 && len(got[name]) == 0 {
			continue
		}
		if len(got[name]) != 1 || !slices.ContainsFunc(sent[name], func(value string) bool {
			return got[name][0] == value || name == "To" && strings.HasPrefix(got[name][0], value+";tag=")
		}) {
			t.Errorf("%s: %q for %q", name, got[name], sent[name])
		}
	}
	filled := regexp.MustCompile(`(?i);(rport(=` + port + `)?|received=127\.0\.0\.1)`)
	if want, have := vias(sent, filled), vias(got, filled); want != have {
		t.Errorf("Via: %q for %q", have, want)
	}
}

// vias joins the Via values without their white space, the topmost one without
// what the server fills in (RFC 3581 §4).
func vias(fields map[string][]string, filled *regexp.Regexp) string {
	all := strings.ReplaceAll(strings.Join(fields["Via"], ","), " ", "")
	top, others, _ := strings.Cut(all, ",")
	return filled.ReplaceAllString(top, "") + "," + others
}

// fieldsOf returns the values of the header fields that responses copy, by
// their full names, folded lines joined. It reads simply, so as to judge the
// daemon's way of reading.
func fieldsOf(message string) map[string][]string {
	names := map[string]string{
		"via": "Via", "v": "Via", "from": "From", "f": "From", "to": "To", "t": "To",
		"call-id": "Call-ID", "i": "Call-ID", "cseq": "CSeq",
	}
	head := regexp.MustCompile(`\r?\n\r?\n`).Split(message, 2)[0]
	head = regexp.MustCompile(`\r?\n[ \t]+`).ReplaceAllString(head, " ")
	fields := map[string][]string{}
	for line := range strings.Lines(head) {
		line = strings.TrimRight(line, "\r\n")
		name, value, _ := strings.Cut(line, ":")
		if name = names[strings.ToLower(strings.TrimRight(name, " \t"))]; name != "" && !hasControl(line) {
			fields[name] = append(fields[name], strings.Join(strings.Fields(value), " "))
		}
	}
	return fields
}
