package registrar_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"sipregd/internal/digest"
)

// strangersMessages are requests of people who prove nothing, down to the smallest that
// can be read.
func strangersMessages(t testing.TB) map[string][]byte {
	messages := tortureMessages(t)
	for name, text := range map[string]string{
		"141 bytes": "REGISTER sip:r SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@r>;tag=1\r\n" +
			"To: <sip:a@r>\r\nCall-ID: 1@h.example.c\r\nCSeq: 1 REGISTER\r\n\r\n",
		"smallest":         "REGISTER sip:r SIP/2.0\nv:SIP/2.0/UDP h\nf:sip:a\nt:sip:a\ni:1\nCSeq:1 REGISTER\n\n",
		"smallest OPTIONS": "OPTIONS sip:r SIP/2.0\nv:SIP/2.0/UDP h\nf:sip:a\nt:sip:a\ni:1\nCSeq:1 OPTIONS\n\n",
		"smallest INVITE":  "INVITE sip:r SIP/2.0\nv:SIP/2.0/UDP h\nf:sip:a\nt:sip:a\ni:1\nCSeq:1 INVITE\n\n",
		"smallest garbage": "A B SIP/2.0\nv:SIP/2.0/UDP h\n\n",
		"an option":        "REGISTER sip:r SIP/2.0\nv:SIP/2.0/UDP h\nf:sip:a\nt:sip:a\ni:1\nCSeq:1 REGISTER\nRequire:a,b\n\n",
		"a body":           "REGISTER sip:r SIP/2.0\nv:SIP/2.0/UDP h\nf:sip:a\nt:sip:a\ni:1\nCSeq:1 REGISTER\n\nx",
	} {
		messages[name] = []byte(text)
	}
	return messages
}

func TestNoAnswerToAStrangerIsOverThreeTimesItsRequest(t *testing.T) {
	l := newLab(t, withAlgorithms(digest.SHA256, digest.MD5), withDomains("a-long-name-of-a-domain.example.com", "r"))
	worst, answered := 0.0, 0
	check := func(name string, message []byte) {
		l.pass(time.Second)
		answer := l.receive(string(message))
		if len(answer) > 3*len(message) {
			t.Errorf("%s: %d bytes are answered with %d: %q", name, len(message), len(answer), answer)
		}
		if len(answer) > 0 {
			answered++
			worst = max(worst, float64(len(answer))/float64(len(message)))
		}
	}
	for name, message := range strangersMessages(t) {
		check(name, message)
		for _, line := range [...]string{
			"Authorization: Digest username=\"a\", realm=\"r\", nonce=\"n\", uri=\"sip:r\", response=\"0\"",
			"Authorization: Digest username=\"7f3a9c\", realm=\"sipregd\", nonce=\"n\", uri=\"sip:r\", response=\"0\"",
			"Require: a", "Content-Length: 1", "v: x",
		} {
			check(name+" with "+line, bytes.Replace(message, []byte("\n"), []byte("\n"+line+"\r\n"), 1))
		}
		for at := range bytes.Count(message, []byte("\n")) { // without each of its lines, up to some
			if lines := strings.SplitAfter(string(message), "\n"); at < 20 {
				check(fmt.Sprint(name, " without line ", at), []byte(strings.Join(append(lines[:at:at], lines[at+1:]...), "")))
			}
		}
	}
	for name, spoil := range map[string]func(p *phone){
		"wrong secret":     func(p *phone) { p.secret = "wrong" },
		"unknown authname": func(p *phone) { p.authname = "nobody" },
		"another realm":    func(p *phone) { p.realm = "elsewhere" },
	} {
		p := l.kitchen()
		p.domain, p.to = "r", "sip:2001@r"
		p.challenge()
		spoil(p)
		check(name, []byte(p.request(p.authorization())))
	}
	if answered < 1000 || worst < 2 {
		t.Errorf("just %d answers, and the worst of %.1f times the request: the test sees too little", answered, worst)
	}
	t.Logf("%d answers; the longest has %.2f times the bytes of its request", answered, worst)
}

// Who asks by a forged address for a list of bindings has to prove himself before.
func TestA141ByteRegisterGetsOneChallenge(t *testing.T) {
	l := newLab(t, withAlgorithms(digest.SHA256, digest.MD5), withRealm("registrar.example"))
	answer := l.send(string(strangersMessages(t)["141 bytes"])).want(401)
	if challenges := answer.all("WWW-Authenticate"); len(challenges) != 1 || !strings.Contains(challenges[0], "SHA-256") {
		t.Errorf("challenges: %q", challenges)
	}
	if answer := l.receive(string(strangersMessages(t)["smallest"])); len(answer) > 0 {
		t.Errorf("a tiny datagram is answered: %q", answer)
	}
}

// What runs here, and of which version, is told to nobody.
func TestNoAnswerNamesTheSoftware(t *testing.T) {
	l := newLab(t)
	check := func(name string, answer []byte) {
		for line := range strings.Lines(string(answer)) {
			field, _, _ := strings.Cut(line, ":")
			if strings.EqualFold(field, "Server") || strings.EqualFold(field, "User-Agent") || strings.EqualFold(field, "Organization") {
				t.Errorf("%s is answered with %q", name, line)
			}
		}
	}
	for name, message := range strangersMessages(t) {
		l.pass(time.Second)
		check(name, l.receive(string(message)))
	}
	p := l.kitchen()
	check("a phone", []byte(p.register(kitchenContact).want(200).text))
	check("another phone", []byte(p.register("Contact: *").want(400).text))
}
