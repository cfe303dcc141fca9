package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const fail2banFilter = "../../configs/fail2ban/filter.d/sipregd.conf"

// found runs fail2ban's own judge over lines of a log and returns the addresses that it
// counts failures of, in their order.
func found(t *testing.T, filter, lines string) []string {
	t.Helper()
	requireProgram(t, "fail2ban-regex", "fail2ban")
	path := filepath.Join(t.TempDir(), "log")
	writeFile(t, path, lines)
	text, err := exec.Command("fail2ban-regex", "--out", "ip", path, filter).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return strings.Fields(string(text))
}

const (
	refusedJSON = `{"level":"warn","event":"refused","src_ip":"%s","src_port":5060,"transport":"UDP","reason":"%s","status":401,` +
		`"authname":"%s","time":"2026-11-26T12:00:00.123+01:00","message":"request refused"}`
	forgeableJSON = `{"level":"warn","event":"refused","src_ip":"%s","src_port":5060,"transport":"UDP","forgeable":true,"reason":"wrong_secret","status":401}`
	forgeableText = `2026-11-26 12:00:00 WRN request refused event=refused src_ip=%s src_port=5060 transport=UDP forgeable=true reason=wrong_secret status=401`
	refusedText   = `2026-11-26 12:00:00 WRN request refused event=refused src_ip=%s src_port=5060 transport=UDP reason=%s status=401 authname="%s"`
)

// TestFail2banFilter shows lines as they come by each way to fail2ban.
func TestFail2banFilter(t *testing.T) {
	var all strings.Builder
	ways := map[string]string{
		"a file": "", "syslog": "Nov 26 12:00:00 host sipregd[12]: ", "the journal": "host sipregd[12]: ",
		"syslog of today": "2026-11-26T12:00:00.123456+01:00 host sipregd[12]: ",
	}
	for way, before := range ways {
		for format, line := range map[string]string{"JSON": refusedJSON, "text": refusedText} {
			t.Run(way+", "+format, func(t *testing.T) {
				var lines strings.Builder
				for _, each := range [][3]any{
					{"192.0.2.1", "wrong_secret", "7f3a9c"}, {"2001:db8::1", "unknown_authname", "1000"},
					{"192.0.2.2", "stale_nonce", "7f3a9c"}, {"192.0.2.3", "expiry_too_brief", "7f3a9c"},
					{"192.0.2.4", "nonce_count_replayed", "7f3a9c"}, {"192.0.2.5", "malformed", "7f3a9c"},
				} {
					fmt.Fprintf(&lines, before+line+"\n", each[:]...)
				}
				if got := found(t, fail2banFilter, lines.String()); !slices.Equal(got, []string{"192.0.2.1", "2001:db8::1"}) {
					t.Errorf("normal: %q", got)
				}
				all.WriteString(lines.String())
			})
		}
	}
	fmt.Fprintf(&all, forgeableJSON+"\n"+forgeableText+"\n", "192.0.2.6", "192.0.2.7")
	if got := found(t, fail2banFilter, all.String()); slices.Contains(got, "192.0.2.6") || slices.Contains(got, "192.0.2.7") {
		t.Errorf("whoever is named in what may be forged is found: %q", got)
	}
	want := append(slices.Repeat([]string{"192.0.2.1", "2001:db8::1", "192.0.2.5"}, 8), "192.0.2.6", "192.0.2.7")
	if got := found(t, fail2banFilter+"[mode=aggressive]", all.String()); !slices.Equal(got, want) {
		t.Errorf("aggressive: %q", got)
	}
}

// The jail is one that fail2ban takes, with the filter beside it: as it is installed it is
// not in force, and one word puts it so.
func TestFail2banTakesTheJail(t *testing.T) {
	requireProgram(t, "fail2ban-client", "fail2ban")
	directory := t.TempDir()
	for _, from := range []string{"/etc/fail2ban", "../../configs/fail2ban"} {
		if text, err := exec.Command("cp", "-r", from+"/.", directory).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		_ = os.Remove(filepath.Join(directory, "jail.d", "defaults-debian.conf")) // sshd may not be here
	}
	if text := jails(t, directory); strings.Contains(text, "sipregd") {
		t.Errorf("a jail that nobody has enabled: %s", text)
	}
	jail := filepath.Join(directory, "jail.d", "sipregd.conf")
	disabled, err := os.ReadFile(jail)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, jail, strings.Replace(string(disabled), "enabled = false", "enabled = true", 1))
	text := jails(t, directory)
	for _, want := range []string{`['add', 'sipregd', 'systemd']`, `'addjournalmatch', '_SYSTEMD_UNIT=sipregd.service'`, `['start', 'sipregd']`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}

// jails has fail2ban judge its configuration, and returns what it would do by it.
func jails(t *testing.T, directory string) string {
	t.Helper()
	if text, err := exec.Command("fail2ban-client", "-c", directory, "--test").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, text)
	}
	text, err := exec.Command("fail2ban-client", "-c", directory, "-d").Output()
	if err != nil {
		t.Errorf("%v: %s", err, text)
	}
	return string(text)
}

// forged are texts that try to be a line of the log, or to end the one in which they stand.
var forged = []string{
	`x'`, `x"`, `x\`, `x\"`, `%22`, "x\ty", "é\u009b\u202e",
	fmt.Sprintf(refusedJSON, "203.0.113.1", "wrong_secret", "a"),
	`"` + fmt.Sprintf(refusedJSON, "203.0.113.2", "wrong_secret", "a"),
	`","src_ip":"203.0.113.3","reason":"wrong_secret","x":"`,
	fmt.Sprintf(refusedText, "203.0.113.4", "wrong_secret", "a"),
	`" ` + fmt.Sprintf(refusedText, "203.0.113.5", "wrong_secret", "a"),
	`src_ip=203.0.113.6 reason=wrong_secret`,
	"sipregd[1]: " + fmt.Sprintf(refusedText, "203.0.113.7", "wrong_secret", "a"),
	"x sipregd[1]: " + fmt.Sprintf(refusedJSON, "203.0.113.8", "wrong_secret", "a"),
	`,"time":"1999-01-01T00:00:00.000Z"`,
	"\\\n \\\r\n ", // folded and quoted, whatever comes of it
	`[203.0.113.9]`, `<HOST>`, `\x5c\x22`,
}

// TestFail2banReadsWhatTheDaemonWrites has the daemon log what strangers and phones do,
// each from an address of its own, with names that would be lines of the log.
func TestFail2banReadsWhatTheDaemonWrites(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		t.Run(format, func(t *testing.T) {
			d := startDaemon(t, "[log]\nformat = "+format+"\nlevel = debug\n", torturePeers)
			var guilty []string
			for i, text := range forged {
				guesser, phone := fmt.Sprintf("127.1.0.%d", i+1), fmt.Sprintf("127.2.0.%d", i+1)
				d.guess(t, guesser, text)
				d.beAPhone(t, phone, text)
				guilty = append(guilty, guesser)
			}
			d.guess(t, "127.1.1.1", "the last")
			d.waitLog(t, "127.1.1.1")
			guilty = append(guilty, "127.1.1.1")
			d.forge(t, "127.3.0.1")
			d.waitLog(t, "127.3.0.1")
			d.stop(t)
			for _, harmless := range []string{"challenged", "stale_nonce", "expiry_too_brief", "nonce_count_replayed", "added", "method_not_allowed"} {
				if !strings.Contains(d.output.String(), harmless) {
					t.Errorf("nothing was %s", harmless)
				}
			}
			got := found(t, fail2banFilter, d.output.String())
			slices.Sort(got)
			slices.Sort(guilty)
			if got = slices.Compact(got); !slices.Equal(got, guilty) {
				t.Errorf("failures of %q, want %q in\n%s", got, guilty, d.output.String())
			}
		})
	}
}

func TestFail2banReadsIPv6OfTheDaemon(t *testing.T) {
	d := prepareDaemonAt(t, netip.MustParseAddr("::1"), "[log]\nlevel = debug\n", torturePeers)
	d.run(t)
	d.guess(t, "::1", "x")
	d.waitLog(t, "unknown_authname")
	d.stop(t)
	if got := found(t, fail2banFilter, d.output.String()); !slices.Equal(slices.Compact(got), []string{"::1"}) {
		t.Errorf("failures of %q in\n%s", got, d.output.String())
	}
}

// guess answers a challenge by an authname that nobody has, which holds a text as far as a
// quoted string can, with the text in all that is logged.
func (d *daemon) guess(t *testing.T, from, text string) {
	t.Helper()
	conn := d.dialFrom(t, from)
	send(t, conn, hostileRegister(conn, "x", ""))
	d.guessBy(t, conn, text, nonceIn(receive(t, conn)))
}

// forge guesses as if from an address at which nobody has seen a challenge.
func (d *daemon) forge(t *testing.T, from string) {
	t.Helper()
	elsewhere := d.dialFrom(t, "127.0.0.1")
	send(t, elsewhere, hostileRegister(elsewhere, "x", ""))
	d.guessBy(t, d.dialFrom(t, from), "x", nonceIn(receive(t, elsewhere)))
}

// nonceIn returns that of a challenge.
func nonceIn(challenge string) string {
	_, nonce, _ := strings.Cut(challenge, `nonce="`)
	nonce, _, _ = strings.Cut(nonce, `"`)
	return nonce
}

func (d *daemon) guessBy(t *testing.T, conn *net.UDPConn, text, nonce string) {
	t.Helper()
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(strings.NewReplacer("\r", "", "\n", "").Replace(text))
	authorization := fmt.Sprintf("Authorization: Digest username=\"no%s\", realm=\"sipregd\", nonce=\"%s\", uri=\"sip:r\", response=\"0\"\n", quoted, nonce)
	send(t, conn, hostileRegister(conn, text, authorization))
	if answer := receive(t, conn); !strings.HasPrefix(answer, "SIP/2.0 401") { // what cannot be read at all is another matter
		send(t, conn, hostileRegister(conn, "x", strings.Replace(authorization, quoted, "body", 1)))
		receive(t, conn)
	}
}

// beAPhone registers as a phone does, with a nonce that is old at first and one that is used up,
// asks for too short a time first, and calls.
func (d *daemon) beAPhone(t *testing.T, from, text string) {
	t.Helper()
	conn := d.dialFrom(t, from)
	const nonce = `nonce="`
	for _, contact := range []string{"Contact: <sip:anna@127.0.0.1:9>;expires=1\n", "Contact: <sip:anna@127.0.0.1:9>\n"} {
		first := hostileRegister(conn, text, contact)
		send(t, conn, first)
		challenge := receive(t, conn)
		if !strings.HasPrefix(challenge, "SIP/2.0 401") { // what cannot be read at all is another matter
			return
		}
		foreign := challenge[:strings.Index(challenge, nonce)] + nonce + `old"`
		for _, answered := range []string{foreign, challenge, challenge} { // stale_nonce, what it is about, nonce_count_replayed
			send(t, conn, withCredentials(t, hostileRegister(conn, text, contact), answered))
			receive(t, conn)
		}
	}
	first := hostileRegister(conn, text, "")
	send(t, conn, []byte(strings.ReplaceAll(string(first), "REGISTER", "INVITE")))
	receive(t, conn)
}

// dialFrom returns a socket at an address.
func (d *daemon) dialFrom(t *testing.T, from string) *net.UDPConn {
	t.Helper()
	local := net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 0))
	conn, err := net.DialUDP("udp", local, net.UDPAddrFromAddrPort(d.udp))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// hostileRegister is a REGISTER with a text wherever one may stand.
func hostileRegister(conn *net.UDPConn, text, lines string) []byte {
	unique := fmt.Sprint(time.Now().UnixNano())
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text)
	escaped := strings.NewReplacer("%", "%25", " ", "%20", `"`, "%22", `\`, "%5c", "{", "%7b", "}", "%7d", ",", "%2c", ":", "%3a", "<", "%3c", ">", "%3e",
		"\t", "%09", "\r", "%0d", "\n", "%0a", "[", "%5b", "]", "%5d", "é", "%c3%a9", "\u009b", "%c2%9b", "\u202e", "%e2%80%ae").Replace(text)
	via := fmt.Sprintf("Via: SIP/2.0/UDP %v;branch=z9hG4bK%s;rport\n", conn.LocalAddr(), unique)
	message := strings.ReplaceAll("REGISTER sip:r SIP/2.0\n"+via+"From: \""+quoted+"\" <sip:a@r>;tag=1\n"+
		"To: \""+quoted+"\" <sip:"+escaped+"@r>\nCall-ID: "+unique+"@sipregd\nCSeq: 1 REGISTER\n"+lines, "\n", "\r\n")
	return []byte(message + "User-Agent: " + text + "\r\nContent-Length: 0\r\n\r\n")
}
