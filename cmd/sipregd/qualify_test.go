package main

import (
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// impatient asks each phone every second, and gives it no longer to answer.
const impatient = "[registrar]\nqualify_frequency = 1\nqualify_timeout = 1\n"

// A phone that others wrote answers; while it is stopped it does not.
func TestBaresipIsAskedWhetherItIsThere(t *testing.T) {
	requireProgram(t, "baresip", "baresip-core")
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, impatient, phonePeers)
			b := startBaresip(t, d.udp, transport, "b41d77", "correct-horse")
			b.wait(t, registered)
			if c := d.waitReachable(t, "yes"); c.RoundTrip <= 0 || c.RoundTrip > 1000 || c.NAT {
				t.Errorf("got %+v", c)
			}
			if d.waitSignal(t, b, syscall.SIGSTOP, "no"); !strings.Contains(d.output.String(), `"reason":"no_answer"`) {
				t.Error("the log does not say why")
			}
			d.checkWhy(t, []string{"2001", "Workshop"}, "but the phone does not answer: asked at", "For a phone that never answers OPTIONS set qualify_frequency = 0")
			d.waitSignal(t, b, syscall.SIGCONT, "yes")
			d.waitLog(t, `"event":"reachable"`)
			checkTurns(t, d.output.String())
			checkSilent(t, d, b)
		})
	}
}

// checkTurns checks that a phone was told of as unreachable and as reachable by turns. On
// a machine that is busy that may be more than once.
func checkTurns(t *testing.T, log string) {
	t.Helper()
	last := "reachable"
	for _, event := range regexp.MustCompile(`"event":"((?:un)?reachable)"`).FindAllStringSubmatch(log, -1) {
		if event[1] == last {
			t.Errorf("twice %s", last)
		}
		last = event[1]
	}
}

// waitSignal sends a signal to a phone and waits until it is so reachable.
func (d *daemon) waitSignal(t *testing.T, b *baresip, signal syscall.Signal, want string) {
	t.Helper()
	if err := b.command.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.command.Process.Signal(syscall.SIGCONT) }) // else it cannot end
	d.waitReachable(t, want)
}

// A phone behind NAT, which is where its Contact is not where it comes from, is asked
// unless sipregd.conf says otherwise, and others are not.
func TestAPhoneThatNeverAnswers(t *testing.T) {
	for _, test := range []struct {
		name, network, settings, contact, want string
		nat                                    bool
	}{
		{"behind NAT", "udp", "qualify_timeout = 1\n", "sip:2001@10.1.2.3:5062", "no", true},
		{"behind NAT, over TCP", "tcp", "qualify_timeout = 1\n", "sip:2001@10.1.2.3:5062;transport=tcp", "no", true},
		{"a browser", "tcp", "qualify_timeout = 1\n", "sip:2001@x.invalid;transport=ws", "no", true},
		{"behind NAT, and nobody is to be asked", "udp", "qualify_frequency = 0\n", "sip:2001@10.1.2.3:5062", "", true},
		{"not behind NAT", "udp", "", "sip:2001@127.0.0.1:5062", "", false},
		{"not behind NAT, and all are to be asked", "udp", "qualify_frequency = 1\nqualify_timeout = 1\n", "sip:2001@127.0.0.1:5062", "no", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, "[registrar]\n"+test.settings, phonePeers)
			c := newClient(test.network, d.udp.String(), "b41d77", "correct-horse", "2001")
			if err := c.connect(); err != nil {
				t.Fatal(err)
			}
			defer c.close()
			if answer, _, err := c.register("Contact: <" + test.contact + ">"); err != nil || answer.status != 200 {
				t.Fatalf("got %+v, %v", answer, err)
			}
			if test.want == "" {
				time.Sleep(6 * time.Second) // by then it would have been asked
			}
			if contact := d.waitReachable(t, test.want); contact.NAT != test.nat {
				t.Errorf("got %+v", contact)
			}
		})
	}
}

// A reload takes in what peers say of how often they are asked.
func TestAReloadChangesWhoIsAsked(t *testing.T) {
	d := startDaemon(t, "[registrar]\nqualify_timeout = 1\n", phonePeers)
	c := newClient("udp", d.udp.String(), "b41d77", "correct-horse", "2001")
	if err := c.connect(); err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if answer, _, err := c.register("Contact: <sip:2001@127.0.0.1:5062>"); err != nil || answer.status != 200 {
		t.Fatalf("got %+v, %v", answer, err)
	}
	d.writePeers(t, phonePeers+"qualify_frequency = 1\n")
	d.reload(t, `"event":"reloaded"`)
	d.waitReachable(t, "no")
	again := d.restart(t) // it is asked in another life, too
	again.waitReachable(t, "no")
}
