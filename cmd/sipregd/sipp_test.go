package main

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// officePeers are the peers that the scenarios know. No label is an authname
// or an aorname, and no authname is an aorname.
const officePeers = kitchenPeers + `
[Workshop]
authname = b41d77
secret = correct-horse
aorname = 2001

[Front desk]
authname = frontdesk
secret = open sesame
aorname = 2002
`

// requireProgram skips a test whose other side is not installed.
func requireProgram(t *testing.T, program, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		skip(t, "%s is not installed: apt-get install %s", program, pkg)
	}
}

// skip leaves a test out for what this machine lacks. In CI that is a failure.
func skip(t *testing.T, format string, values ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf(format, values...)
	}
	t.Skipf("SKIPPED: "+format, values...)
}

// sipp runs a scenario of testdata/sipp against an address of this machine, once where the
// arguments do not say otherwise, and returns its trace.
func sipp(t *testing.T, scenario, transport string, target netip.AddrPort, arguments ...string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "testdata", "sipp", scenario+".xml"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	command := exec.CommandContext(ctx, "sipp", append([]string{target.String(), "-sf", path, "-m", "1",
		"-t", transport, "-i", target.Addr().String(), "-p", strconv.Itoa(freePortAt(t, target.Addr())), "-nostdin",
		"-timeout", "20", "-timeout_error", "-trace_err", "-trace_msg"}, arguments...)...)
	command.Dir = t.TempDir()
	screen, err := command.CombinedOutput()
	trace := traces(command.Dir)
	if err != nil {
		if trace == "" {
			trace = string(screen)
		}
		t.Fatalf("sipp %s: %v\n%s", scenario, err, trace)
	}
	return trace
}

// traces returns what SIPp wrote down of messages and errors.
func traces(directory string) string {
	var all bytes.Buffer
	paths, _ := filepath.Glob(filepath.Join(directory, "*.log"))
	for _, path := range paths {
		text, _ := os.ReadFile(path)
		all.Write(text)
	}
	return all.String()
}

// received returns the responses of a trace that have the status.
func received(trace string, status int) []string {
	var responses []string
	for entry := range strings.SplitSeq(trace, "-----------------------------------------------") {
		head, message, _ := strings.Cut(entry, "\n\n")
		if strings.Contains(head, "message received") && strings.HasPrefix(message, fmt.Sprintf("SIP/2.0 %d ", status)) {
			responses = append(responses, strings.TrimRight(message, "\r\n"))
		}
	}
	return responses
}

// as are the arguments of a phone that claims an address and proves an authname.
func as(aor, authname, secret string, more ...string) []string {
	return append([]string{"-s", aor, "-au", authname, "-ap", secret}, more...)
}

func TestSIPp(t *testing.T) {
	requireProgram(t, "sipp", "sip-tester")
	t.Parallel()
	kitchen := as("2001", "7f3a9c", "any;text#at all")
	inDomain := append(slices.Clone(kitchen), "-auth_uri", "example.com")
	tests := []struct {
		story    string
		scenario string
		conf     string
		peers    string // instead of officePeers
		phone    []string
		reason   string // why requests are refused; empty: none is
	}{
		{"three names", "register", "", "", kitchen, ""},
		{"MD5 offered first", "register", "[registrar]\nalgorithms = MD5, SHA-256\n", "", kitchen, ""},
		{"password digest", "register", "",
			"[Kitchen]\nauthname = 7f3a9c\npassword_digest = MD5:" + kitchenMD5 + "\naorname = 2001\n", kitchen, ""},
		{"realm of its own", "register", "[registrar]\nrealm = the office\n", "", kitchen, ""},
		{"any address", "register", "", officePeers + "[Lab]\nauthname = lab\nsecret = s\naorname = *\n",
			as("2999", "lab", "s"), ""},
		{"refresh, query, unregister", "refresh-query-unregister", "", "", kitchen, ""},
		{"wildcard", "wildcard", "", "", kitchen, "contact_wildcard_misused"},
		{"several Contacts", "several-contacts", "", "", kitchen, "expiry_too_brief"},
		{"the same Contact in other words", "same-contact", "", "", kitchen, ""},
		{"older CSeq", "older-cseq", "", "", kitchen, "cseq_not_rising"},
		{"older CSeq, not yet from a phone that rebooted", "older-cseq", "[registrar]\ncseq_reset = yes\n", "", kitchen, "cseq_not_rising"},
		{"rebooted", "rebooted", "", "", kitchen, ""},
		{"two phones", "two-phones", "", "", kitchen, ""},
		{"third party", "third-party", "", "", kitchen, ""},
		{"too brief", "too-brief", "", "", kitchen, "expiry_too_brief"},
		{"shortened", "shortened", "", "", kitchen, ""},
		{"odd expiry", "odd-expires", "", "", kitchen, ""},
		{"expired", "expired", "[registrar]\nminimum_expiration = 1\n", "", kitchen, ""},
		{"stale nonce", "stale", "[security]\nnonce_lifetime = 2\n", "", kitchen, ""},
		{"wrong secret", "wrong-secret", "", "", as("2001", "7f3a9c", "wrong"), "wrong_secret"},
		{"authname of nobody", "wrong-secret", "", "", as("2001", "2001", "any;text#at all"), "unknown_authname"},
		{"label for authname", "wrong-secret", "", "",
			as("2001", "Kitchen, 1st floor", "any;text#at all"), "unknown_authname"},
		{"digest for another host", "wrong-secret", "", "",
			append(slices.Clone(kitchen), "-auth_uri", "elsewhere.example"), "digest_over_another_uri"},
		{"algorithm not this peer's", "wrong-secret", "[registrar]\nalgorithms = MD5, SHA-256\n",
			kitchenPeers + "algorithm = SHA-256\n", kitchen, "algorithm_not_offered"},
		{"SHA-256 offered", "sha-256", "[registrar]\nalgorithms = SHA-256\n", "", kitchen, ""},
		{"another's address", "forbidden", "", "", as("2002", "7f3a9c", "any;text#at all"), "aor_not_of_this_peer"},
		{"address of nobody", "forbidden", "", "", as("2999", "7f3a9c", "any;text#at all"), "aor_not_of_this_peer"},
		{"authname for address", "forbidden", "", "", as("7f3a9c", "7f3a9c", "any;text#at all"), "aor_not_of_this_peer"},
		{"label for address", "forbidden", "", "", as("Workshop", "b41d77", "correct-horse"), "aor_not_of_this_peer"},
		{"named address, for any", "forbidden", "", officePeers + "[Lab]\nauthname = lab\nsecret = s\naorname = *\n",
			as("2001", "lab", "s"), "aor_not_of_this_peer"},
		{"network not permitted", "forbidden", "", kitchenPeers + "permit = 192.0.2.0/24\n", kitchen, "source_not_permitted"},
		{"peer not enabled", "forbidden", "", kitchenPeers + "enabled = no\n", kitchen, "peer_disabled"},
		{"served domain", "domain", "[registrar]\ndomain = example.com\n", "", inDomain, ""},
		{"foreign domain", "not-found", "[registrar]\ndomain = example.com\n", "", inDomain, "domain_not_served"},
		{"unknown extension", "require", "", "", kitchen, "extension_not_supported"},
		{"unknown method", "publish", "", "", kitchen, "method_not_allowed"},
		{"ping", "options", "", "", kitchen, ""},
	}
	tried := map[string]bool{}
	for _, test := range tests {
		transports := []string{"u1", "t1"}
		if tried[test.scenario] { // over TCP once is enough
			transports = transports[:1]
		}
		tried[test.scenario] = true
		for _, transport := range transports {
			t.Run(test.story+" "+transport, func(t *testing.T) {
				t.Parallel()
				peers := test.peers
				if peers == "" {
					peers = officePeers
				}
				d := startDaemon(t, test.conf, peers)
				sipp(t, test.scenario, transport, d.udp, test.phone...)
				d.stop(t)
				checkRefusals(t, d, test.reason)
			})
		}
	}
}

// kitchenMD5: printf '%s' '7f3a9c:sipregd:any;text#at all' | md5sum
const kitchenMD5 = "72348901ec41aa8f7c5976eb670f7157"

// checkRefusals sees to it that the daemon refused something for that reason
// and nothing for another, or nothing at all for none, and that it wrote no
// secret down.
func checkRefusals(t *testing.T, d *daemon, reason string) {
	t.Helper()
	log := d.output.String()
	refused := strings.Count(log, `"event":"refused"`)
	if refused != strings.Count(log, `"reason":"`+reason+`"`) || (refused > 0) != (reason != "") {
		t.Errorf("want refusals for %q and no other:\n%s", reason, log)
	}
	for _, secret := range []string{"any;text", "correct-horse", "open sesame", kitchenMD5} {
		if strings.Contains(log, secret) {
			t.Errorf("a secret was logged:\n%s", log)
		}
	}
}

// A phone that hears nothing sends the same bytes again (§17.1.2.2); they are
// answered by the same bytes and change nothing (§17.2.2).
func TestSIPpRetransmissionGetsTheSameResponse(t *testing.T) {
	requireProgram(t, "sipp", "sip-tester")
	t.Parallel()
	d := startDaemon(t, "[log]\nlevel = debug\n", officePeers)
	trace := sipp(t, "retransmission", "u1", d.udp, as("2001", "7f3a9c", "any;text#at all", "-pause_msg_ign")...)
	responses := received(trace, 200)
	if len(responses) < 2 || len(slices.Compact(responses)) != 1 {
		t.Errorf("want the same 200 several times:\n%s", trace)
	}
	d.stop(t)
	checkRefusals(t, d, "")
	if strings.Contains(d.output.String(), "refreshed") {
		t.Error("a retransmission refreshed the binding")
	}
}

// What is captured on the wire is good for nothing (RFC 7616 §3.4: nc).
func TestSIPpCapturedAuthorizationIsRefused(t *testing.T) {
	requireProgram(t, "sipp", "sip-tester")
	for _, transport := range []string{"u1", "t1"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, "", officePeers)
			trace := sipp(t, "register", transport, d.udp, as("2001", "7f3a9c", "any;text#at all")...)
			captured := regexp.MustCompile(`Authorization: [^\r\n]*`).FindString(trace)
			sipp(t, "captured", transport, d.udp, "-s", "2001", "-key", "authorization", captured)
			d.stop(t)
			checkRefusals(t, d, "nonce_count_replayed")
		})
	}
}

// A stranger learns from no response whether an authname or an address exists,
// not even by its length.
func TestSIPpStrangersAreToldNothing(t *testing.T) {
	requireProgram(t, "sipp", "sip-tester")
	for _, transport := range []string{"u1", "t1"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, "", officePeers)
			responses := received(sipp(t, "strangers", transport, d.udp, "-s", "2001"), 401)
			if len(responses) != 5 {
				t.Fatalf("%d responses", len(responses))
			}
			// What differs by request or by chance, length and all the rest kept.
			varies := regexp.MustCompile(`(?m)branch=[^;]*-(\d)|>;tag=([0-9a-f]+)\r?$|nonce="([^"]*)"|CSeq: (\d)|^To: <sip:(\d+)`)
			blank := func(response string) string {
				return varies.ReplaceAllStringFunc(response, func(text string) string { return strings.Repeat("*", len(text)) })
			}
			for _, response := range responses[1:] {
				if blank(response) != blank(responses[0]) {
					t.Errorf("differ:\n%s\n\n%s", responses[0], response)
				}
			}
		})
	}
}

// After a power cut all phones come at once, by one socket together (u1, t1) or
// by one each (un, tn).
func TestSIPpAWholeOfficeRegisters(t *testing.T) {
	requireProgram(t, "sipp", "sip-tester")
	const phones = 50
	peers, lines := "", "SEQUENTIAL\n"
	for i := range phones {
		peers += fmt.Sprintf("[Desk %d]\nauthname = phone-%[1]d\nsecret = secret-%[1]d\naorname = %d\n", i, 3000+i)
		lines += fmt.Sprintf("%d;[authentication username=phone-%d password=secret-%[2]d]\n", 3000+i, i)
	}
	for _, transport := range []string{"u1", "un", "t1", "tn"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, "", peers)
			file := filepath.Join(t.TempDir(), "phones.csv")
			writeFile(t, file, lines)
			sipp(t, "office", transport, d.udp, "-inf", file, "-max_socket", "1000", "-m", strconv.Itoa(phones), "-r", "200")
			d.stop(t)
			checkRefusals(t, d, "")
			for i := range phones {
				line := fmt.Sprintf(`"label":"Desk %d","authname":"phone-%[1]d","aor":"%d"`, i, 3000+i)
				if strings.Count(d.output.String(), line) != 1 {
					t.Errorf("want one line with %s", line)
				}
			}
		})
	}
}

// Bindings of peers that a reload takes away go with them.
func TestSIPpReloadRemovesTheBindingsOfPeersThatAreGone(t *testing.T) {
	requireProgram(t, "sipp", "sip-tester")
	t.Parallel()
	d := startDaemon(t, "", kitchenPeers)
	sipp(t, "register", "u1", d.udp, as("2001", "7f3a9c", "any;text#at all")...)
	d.waitLog(t, `"event":"added"`)
	d.writePeers(t, "[Other]\nauthname = o\nsecret = o\naorname = 1\n")
	d.reload(t, "1 added, 1 removed, 0 changed")
	d.waitLog(t, `"event":"removed"`)
	d.waitLog(t, `"reason":"peer_changed"`)
}
