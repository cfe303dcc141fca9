package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"
)

// scripted is a server that answers the phone's requests with what a test says.
type scripted struct {
	address  string
	mu       sync.Mutex
	requests []string
}

// answers are the raw messages that go back for the request with that number,
// the first one being 0.
type answers func(number int, request string) []string

func (s *scripted) take(request string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, request)
	return len(s.requests) - 1
}

func (s *scripted) taken() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.requests...)
}

// serveUDP answers what is sent again, as by a busy machine, as it did at first.
func serveUDP(t *testing.T, answer answers) *scripted {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &scripted{address: conn.LocalAddr().String()}
	owned(t, conn, func() {
		buffer := make([]byte, 65536)
		var last string
		var messages []string
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			if request := string(buffer[:n]); request != last {
				last, messages = request, answer(s.take(request), request)
			}
			for _, message := range messages {
				_, _ = conn.WriteTo([]byte(message), from)
			}
		}
	})
	return s
}

// serveTCP takes one connection and closes it when the answers are nil.
func serveTCP(t *testing.T, answer answers) *scripted {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &scripted{address: listener.Addr().String()}
	owned(t, listener, func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		for reader := bufio.NewReader(conn); ; {
			var request strings.Builder
			for !strings.HasSuffix(request.String(), "\r\n\r\n") {
				line, err := reader.ReadString('\n')
				if err != nil {
					return
				}
				request.WriteString(line)
			}
			messages := answer(s.take(request.String()), request.String())
			if messages == nil {
				return
			}
			for _, message := range messages {
				_, _ = conn.Write([]byte(message))
			}
		}
	})
	return s
}

// owned runs a server until the test ends.
func owned(t *testing.T, socket interface{ Close() error }, serve func()) {
	done := make(chan struct{})
	go func() { defer close(done); serve() }()
	t.Cleanup(func() { socket.Close(); <-done })
}

// response is an answer to a request, with those lines.
func response(request, status string, lines ...string) string {
	head := []string{"SIP/2.0 " + status}
	for _, line := range strings.Split(request, "\r\n") {
		switch name, _, _ := strings.Cut(line, ":"); name {
		case "Via", "From", "To", "Call-ID", "CSeq":
			head = append(head, line)
		}
	}
	return strings.Join(append(append(head, lines...), "Content-Length: 0", "", ""), "\r\n")
}

// contactOf is the Contact of a request as a registrar lists it.
func contactOf(request string, expires int) string {
	return fmt.Sprintf("Contact: %s;expires=%d", field(request, "Contact"), expires)
}

func field(request, name string) string {
	_, rest, _ := strings.Cut(request, "\r\n")
	header, _ := textproto.NewReader(bufio.NewReader(strings.NewReader(rest))).ReadMIMEHeader()
	return header.Get(name)
}

func challenge(parameters string) string { return "WWW-Authenticate: Digest " + parameters }

// always answers each request with the same.
func always(status string, lines ...string) answers {
	return func(_ int, request string) []string { return []string{response(request, status, lines...)} }
}

// inTurn answers each request with its own, and the last one again and again.
func inTurn(each ...answers) answers {
	return func(number int, request string) []string {
		return each[min(number, len(each)-1)](number, request)
	}
}

func yes(_ int, request string) []string {
	return []string{response(request, "200 OK", contactOf(request, 60))}
}

// registerAt registers 2001 by 7f3a9c with timers that make a test short.
func registerAt(t *testing.T, s *scripted, transport string, change func(*registration)) (printed string, err error) {
	t.Helper()
	r := &registration{aor: "2001", remove: false}
	r.authname, r.secret, r.transport, r.expires, r.cseq, r.userAgent = "7f3a9c", "spring", transport, 60, 1, "test"
	r.timers.f = patience
	if err := r.complete(s.address); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(r)
	}
	var out bytes.Buffer
	err = r.run(t.Context(), &transcript{out: &out, json: r.json, whole: r.whole, began: time.Now()})
	return out.String(), err
}

func TestAnswers(t *testing.T) {
	const md5 = `realm="r", nonce="%d", algorithm=MD5, qop="auth"`
	fresh := func(parameters string) answers {
		return func(number int, request string) []string {
			return []string{response(request, "401 Unauthorized", challenge(fmt.Sprintf(md5, number)+parameters))}
		}
	}
	for _, test := range []struct {
		name     string
		answer   answers
		requests int
		want     string // of what is printed
		fails    bool
	}{
		{"no challenge at all", yes, 1, `registered: 2001, unproved`, false},
		{"challenged", inTurn(fresh(""), yes), 2, `registered: 2001 by 7f3a9c, expires in 60 s`, false},
		{"challenged by a proxy and the registrar", inTurn(
			always("407 Proxy Authentication Required", `Proxy-Authenticate: Digest realm="p", nonce="n", qop="auth, auth-int"`),
			fresh(""), func(_ int, request string) []string {
				if field(request, "Proxy-Authorization") == "" || field(request, "Authorization") == "" {
					return []string{response(request, "403 Forbidden")}
				}
				return yes(0, request)
			}), 3, `realm "p"  MD5  Auth ID 7f3a9c  realm "r"  MD5`, false},
		{"another domain", always("404 Not Found"), 1,
			`not registered: 404: the server knows no such address\. If it does not serve the domain 127\.0\.0\.1, say one that it serves: --aor NAME@DOMAIN\. `, true},
		{"stale once", inTurn(fresh(""), fresh(", stale=true"), yes), 3, `realm "r"  MD5  stale`, false},
		{"stale for ever", inTurn(fresh(""), fresh(", stale=true")), 4, `not registered: 401: stale-nonce loop: `, true},
		{"stale at first", fresh(", stale=TRUE"), 4, `stale-nonce loop`, true},
		{"not accepted", fresh(""), 2, `does not accept the proof of Auth ID 7f3a9c \(realm "r", MD5\)`, true},
		{"not accepted after stale", inTurn(fresh(""), fresh(", stale=true"), fresh("")), 3, `does not accept the proof`, true},
		{"the first known of several", inTurn(always("401 Unauthorized",
			challenge(`realm="r", nonce="1", algorithm=AKAv1-MD5`), "WWW-Authenticate: Basic realm=x",
			challenge(`realm="r", nonce="2", algorithm=SHA-256`), challenge(`realm="r", nonce="3"`)), yes), 2,
			`AKAv1-MD5, SHA-256, MD5(.|\n)*Auth ID 7f3a9c  realm "r"  SHA-256\n`, false},
		{"none known", always("401 Unauthorized", challenge(`realm="r", nonce="1", algorithm=AKAv1-MD5`)), 1,
			`knows none of the algorithms that the server offers: AKAv1-MD5`, true},
		{"no digest", always("401 Unauthorized", `WWW-Authenticate: Basic realm="r"`), 1, `no challenge that can be read`, true},
		{"no challenge in it", always("401 Unauthorized"), 1, `no challenge that can be read`, true},

		{"too brief", inTurn(always("423 Interval Too Brief", "Min-Expires: 900"), func(_ int, request string) []string {
			if field(request, "Expires") != "900" {
				return []string{response(request, "400 Bad Request")}
			}
			return []string{response(request, "200 OK", contactOf(request, 900))}
		}), 2, `at least 900 s(.|\n)*expires in 900 s`, false},
		{"too brief, but for what", always("423 Interval Too Brief"), 1, `does not say what it takes`, true},
		{"too brief, yet less is wanted", always("423 Interval Too Brief", "Min-Expires: 30"), 1, `not registered: 423: `, true},
		{"never long enough", func(number int, request string) []string {
			return []string{response(request, "423 Interval Too Brief", fmt.Sprintf("Min-Expires: %d", 100+number))}
		}, mostRequests, `is never content`, true},

		{"elsewhere", always("302 Moved Temporarily", "Contact: <sip:192.0.2.9>"), 1, `not registered: 302: .*elsewhere: sip:192\.0\.2\.9`, true},
		{"overloaded", always("503 Service Unavailable", "Retry-After: 18000;duration=3600"), 1, `503: .*\(in 18000 s, it says\)`, true},
		{"unheard of", always("499 Odd"), 1, `499: the server does not take this request`, true},
		{"global", always("600 Busy Everywhere"), 1, `600: nobody takes`, true},

		{"yes, but no binding", always("200 OK"), 1, `not registered: 200: .*lists no binding`, true},
		{"yes, but expired", func(_ int, request string) []string {
			return []string{response(request, "200 OK", contactOf(request, 0))}
		}, 1, `lists no binding of this phone`, true},
		{"a rewritten Contact", always("200 OK", `Contact: "a, b" <sip:2001@203.0.113.1:1;x=1>;expires=30, sip:other@192.0.2.1;expires=20`, "Expires: 30"), 1,
			`2 bindings: sip:2001@203\.0\.113\.1:1;x=1 \(30 s\), sip:other@192\.0\.2\.1 \(20 s\)(.|\n)*expires in 30 s`, false},
		{"short header names", func(_ int, request string) []string {
			return []string{response(request, "200 OK", "m: "+field(request, "Contact")+";expires=60")}
		}, 1, `1 binding: sip:2001@127\.0\.0\.1:\d+.* \(60 s\)`, false},
		{"behind a NAT", func(_ int, request string) []string {
			return []string{strings.Replace(yes(0, request)[0], ";rport", ";rport=9;received=203.0.113.7", 1)}
		}, 1, `seen from 203\.0\.113\.7:9`, false},
		{"provisional", func(_ int, request string) []string {
			return append([]string{response(request, "100 Trying")}, yes(0, request)...)
		}, 1, `← 100 Trying(.|\n)*← 200 OK`, false},
		{"of another transaction", func(_ int, request string) []string {
			return append([]string{strings.Replace(response(request, "403 Forbidden"), "z9hG4bK", "z9hG4bKx", 1)}, yes(0, request)...)
		}, 1, `passed over: it answers another request(.|\n)*← 200 OK`, false},
	} {
		for transport, serve := range map[string]func(*testing.T, answers) *scripted{"udp": serveUDP, "tcp": serveTCP} {
			t.Run(test.name+" over "+transport, func(t *testing.T) {
				t.Parallel()
				s := serve(t, test.answer)
				printed, err := registerAt(t, s, transport, nil)
				if errors.Is(err, errSaid) != test.fails || err != nil && !test.fails {
					t.Errorf("error %v", err)
				}
				if !regexp.MustCompile(test.want).MatchString(printed) {
					t.Errorf("printed without %s:\n%s", test.want, printed)
				}
				if n := len(s.taken()); n != test.requests {
					t.Errorf("%d requests, want %d:\n%s", n, test.requests, printed)
				}
			})
		}
	}
}

func TestWrongFlagsAreToldInOrder(t *testing.T) {
	const want = "sipregctl: --user-agent \"a\\nb\" does not fit into a header field\n"
	for range 20 {
		_, errs, status := sipregctl("register", "127.0.0.1", "--aor", "2001", "--digest-uri", "a\nb", "--realm", "a\nb",
			"--call-id", "a\nb", "--user-agent", "a\nb")
		if status != 2 || errs != want {
			t.Fatalf("exit status %d: %s", status, errs)
		}
	}
}

func TestRequestsFollowEachOther(t *testing.T) {
	s := serveUDP(t, inTurn(always("401 Unauthorized", challenge(`realm="r", nonce="n", qop="auth"`)), yes, always("200 OK")))
	printed, err := registerAt(t, s, "udp", func(r *registration) { r.cseq, r.remove = 41, true })
	if err != nil {
		t.Fatalf("%v\n%s", err, printed)
	}
	requests := s.taken()
	if len(requests) != 3 {
		t.Fatalf("%d requests, want 3", len(requests))
	}
	for i, want := range []struct{ cseq, expires, count string }{{"41", "60", ""}, {"42", "60", "nc=00000001"}, {"43", "0", "nc=00000002"}} {
		if field(requests[i], "CSeq") != want.cseq+" REGISTER" || field(requests[i], "Expires") != want.expires ||
			!strings.Contains(field(requests[i], "Authorization"), want.count) {
			t.Errorf("request %d is not %v:\n%s", i, want, requests[i])
		}
		if i > 0 && (field(requests[i], "Call-ID") != field(requests[0], "Call-ID") || field(requests[i], "Via") == field(requests[i-1], "Via")) {
			t.Errorf("request %d has another Call-ID than the first or the branch of the one before:\n%s", i, requests[i])
		}
	}
}

// In the time of a bubble, so that no slow machine changes what is sent when.
func TestRetransmissions(t *testing.T) {
	for _, test := range []struct {
		name      string
		transport string
		answered  int // the request that is answered, the first being 1; 0: none
		requests  int
		took      time.Duration
	}{
		{"nobody answers over UDP", "udp", 0, 11, 32 * time.Second}, // §17.1.2.2: 500 ms to 4 s, in 32 s
		{"nobody answers over TCP", "tcp", 0, 1, 32 * time.Second},
		{"the third is answered", "udp", 3, 3, 1500 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				var out bytes.Buffer
				p := &phone{wire: &wire{conn: here}, parser: newParser(), told: &transcript{out: &out, began: time.Now()}}
				p.user, p.domain, p.transport, p.timers = "2001", "127.0.0.1", test.transport, timers{t1, t2, 64 * t1}
				if test.transport == "tcp" {
					p.wire.stream = bufio.NewReader(here)
				}
				var requests []string
				done := make(chan struct{})
				go func() {
					defer close(done)
					requests = answerOne(there, test.answered)
				}()
				began := time.Now()
				_, err := p.register(t.Context(), 60)
				took := time.Since(began)
				here.Close()
				<-done
				if test.answered == 0 && (err == nil || !strings.HasPrefix(err.Error(), "no answer from ")) || test.answered > 0 && err != nil {
					t.Errorf("error %v:\n%s", err, out.String())
				}
				if len(requests) != test.requests || took != test.took || strings.Count(out.String(), "→ again  after ") != test.requests-1 {
					t.Errorf("%d requests in %v, want %d in %v:\n%s", len(requests), took, test.requests, test.took, out.String())
				}
				for _, request := range requests {
					if request != requests[0] {
						t.Errorf("a retransmission differs:\n%s\n%s", requests[0], request)
					}
				}
			})
		})
	}
}

// answerOne takes requests until the phone hangs up, and answers the one of that
// number.
func answerOne(conn net.Conn, number int) (requests []string) {
	defer conn.Close()
	for buffer := make([]byte, mostMessage); ; {
		n, err := conn.Read(buffer)
		if err != nil {
			return requests
		}
		requests = append(requests, string(buffer[:n]))
		if len(requests) == number {
			_, _ = conn.Write([]byte(yes(0, requests[0])[0]))
		}
	}
}

func TestGarbage(t *testing.T) {
	garbage := []string{"", "\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "\x00\xff\xfe", "SIP/2.0 200 OK\r\n\r\n", "SIP/2.0 99999 OK\r\nVia: x\r\n\r\n",
		"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=b\r\nCSeq: 1 OPTIONS\r\n\r\n", "SIP/2.0 200 OK\r\nVia: ,;=\r\nCSeq: x\r\n\r\n",
		"SIP/2.0 20", strings.Repeat("x", 60000)}
	s := serveUDP(t, func(_ int, request string) []string {
		return append(append(append([]string{}, garbage...), garbage...), yes(0, request)...)
	})
	printed, err := registerAt(t, s, "udp", nil)
	if err != nil || strings.Count(printed, "passed over: ") != mostIgnored || len(printed) > 5000 {
		t.Errorf("error %v, %d bytes:\n%s", err, len(printed), printed)
	}
}

func TestStreams(t *testing.T) {
	pieces := func(message string) (all []string) {
		for _, c := range []byte(message) {
			all = append(all, string([]byte{c}))
		}
		return all
	}
	for _, test := range []struct {
		name   string
		answer answers
		want   string
	}{
		{"byte by byte", func(_ int, request string) []string { return pieces(yes(0, request)[0]) }, `^registered: `},
		{"after a keep-alive, with a body", func(_ int, request string) []string {
			return []string{"\r\n\r\n" + strings.Replace(response(request, "100 Trying"), "Content-Length: 0", "l : 5", 1) + "hello" + yes(0, request)[0]}
		}, `^registered: `},
		{"closed", func(int, string) []string { return nil }, `^not registered: .* closed the connection without an answer: `},
		{"silent amid a body", func(int, string) []string {
			return pieces("SIP/2.0 200 OK\r\nContent-Length: 9\r\n\r\nabc")
		}, `^not registered: no answer from`},
		{"too long", func(int, string) []string { return []string{"SIP/2.0 200 " + strings.Repeat("x", mostMessage)} }, `^not registered: what listens at .* does not speak SIP`},
		{"a length that is none", func(int, string) []string { return []string{"SIP/2.0 200 OK\r\nContent-Length: -1\r\n\r\n"} }, `does not speak SIP`},
		{"a body that is too long", func(int, string) []string { return []string{"SIP/2.0 200 OK\r\nContent-Length: 99999999\r\n\r\n"} }, `does not speak SIP`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			printed, _ := registerAt(t, serveTCP(t, test.answer), "tcp", func(r *registration) {
				if strings.Contains(test.want, "no answer") {
					r.timers.f = 200 * time.Millisecond
				}
			})
			if !regexp.MustCompile("(?m)"+test.want).MatchString(printed) || strings.Contains(printed, "passed over") {
				t.Errorf("something was passed over, or printed without %s:\n%s", test.want, printed)
			}
		})
	}
}

// What a server sends may be meant for the terminal.
func TestHostileText(t *testing.T) {
	const hostile = "\x1b[2J\x1b]0;x\x07 \u009b31m \u202egnp \xff\x9b\x7f \U000e0041"
	s := serveUDP(t, inTurn(
		func(_ int, request string) []string {
			return []string{hostile, response(request, "100 "+hostile, "X: "+hostile),
				response(request, "401 "+hostile, challenge(`realm="`+hostile+`", nonce="n"`), challenge(`realm="r", algorithm="`+hostile+`"`))}
		},
		func(_ int, request string) []string {
			return []string{strings.Replace(response(request, "200 "+hostile, "Contact: <sip:"+hostile+">;expires=5, "+field(request, "Contact")), ";rport", ";rport=1;received="+hostile, 1)}
		},
		always("302 "+hostile, "Contact: <sip:"+hostile+">"),
	))
	for name, change := range map[string]func(*registration){
		"text":           func(*registration) {},
		"whole messages": func(r *registration) { r.whole = true },
		"JSON":           func(r *registration) { r.json, r.whole = true, true },
	} {
		t.Run(name, func(t *testing.T) {
			s.mu.Lock()
			s.requests = nil
			s.mu.Unlock()
			printed, _ := registerAt(t, s, "udp", func(r *registration) { r.remove = true; change(r) })
			if strings.Count(printed, "registered") == 0 || !strings.Contains(printed, "302") {
				t.Errorf("the server was not asked to the end:\n%q", printed)
			}
			for i, c := range printed {
				if c == utf8.RuneError && !strings.HasPrefix(printed[i:], "\uFFFD") || c != '\n' && !unicode.IsPrint(c) {
					t.Fatalf("%q gets to the terminal in %q", c, printed[max(0, i-40):i+10])
				}
			}
		})
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := serveUDP(t, func(int, string) []string { cancel(); return nil })
	r := &registration{aor: "2001"}
	r.transport, r.expires, r.cseq, r.timers.f = "udp", 60, 1, patience
	if err := r.complete(s.address); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := r.run(ctx, &transcript{out: &out, began: time.Now()}); !errors.Is(err, errSaid) || !strings.Contains(out.String(), "not registered: interrupted.") {
		t.Errorf("error %v:\n%s", err, out.String())
	}
}
