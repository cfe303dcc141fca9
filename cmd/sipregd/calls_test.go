package main

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// redirecting has the daemon tell callers where phones are.
const redirecting = "[calls]\nredirect = yes\n[log]\nlevel = debug\n"

// bindPhone registers a peer with a Contact.
func bindPhone(t *testing.T, d *daemon, authname, secret, aorname, contact string) {
	t.Helper()
	c := newClient("udp", d.udp.String(), authname, secret, aorname)
	defer c.close()
	if answer, _, err := c.register("Contact: <"+contact+">", "Expires: 600"); err != nil || answer.status != 200 {
		t.Fatalf("%s is not registered: %v, %+v", aorname, err, answer)
	}
}

// INVITE, 401, ACK, INVITE with credentials, 302, ACK. SIPp sends nothing again: where its
// first 302 is lost, Timer G brings it another one (RFC 3261 §17.2.1).
func TestSIPpACallIsRedirected(t *testing.T) {
	requireProgram(t, "sipp", "sip-tester")
	for _, test := range []struct {
		name, transport string
		loses           bool
	}{{"UDP", "u1", false}, {"UDP, and the first 302 is lost", "u1", true}, {"TCP", "t1", false}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, redirecting, officePeers)
			bindPhone(t, d, "7f3a9c", "any;text#at all", "2001", "sip:2001@127.0.0.1:5099")
			bindPhone(t, d, "frontdesk", "open sesame", "2002", "sip:2002@127.0.0.1:5098")
			target, lost := d.udp, new(atomic.Int32)
			if test.loses {
				target = relayLosing(t, d.udp, func(answer string) bool { return strings.HasPrefix(answer, "SIP/2.0 302 ") && lost.Add(1) == 1 })
			}
			sipp(t, "call-redirected", test.transport, target, as("2001", "7f3a9c", "any;text#at all", "-key", "callee", "2002")...)
			if test.loses && lost.Load() < 2 {
				t.Errorf("%d times 302", lost.Load())
			}
			d.waitLog(t, `"event":"redirected"`)
			if got := lost.Load(); got > 4 {
				t.Errorf("the ACK did not end it: %d times 302", got)
			}
			d.stop(t)
			checkRefusals(t, d, "")
		})
	}
}

// relayLosing returns an address that passes datagrams on to target, and the answers back
// but for those that it loses.
func relayLosing(t *testing.T, target netip.AddrPort, loses func(answer string) bool) netip.AddrPort {
	t.Helper()
	front, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		t.Fatal(err)
	}
	back, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(target))
	if err != nil {
		t.Fatal(err)
	}
	var phone atomic.Pointer[netip.AddrPort]
	var done sync.WaitGroup
	done.Go(func() {
		forward(front, func(datagram []byte, source netip.AddrPort) {
			phone.Store(&source)
			_, _ = back.Write(datagram)
		})
	})
	done.Go(func() {
		forward(back, func(datagram []byte, _ netip.AddrPort) {
			if !loses(string(datagram)) {
				_, _ = front.WriteToUDPAddrPort(datagram, *phone.Load())
			}
		})
	})
	t.Cleanup(func() {
		front.Close()
		back.Close()
		done.Wait()
	})
	return front.LocalAddr().(*net.UDPAddr).AddrPort()
}

// Two phones with nothing but this daemon: one calls the other by its address-of-record,
// is told where that is, and they talk.
func TestBaresipCallsBaresip(t *testing.T) {
	requireProgram(t, "baresip", "baresip-core")
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, redirecting, officePeers)
			control := netip.AddrPortFrom(loopback, uint16(freePort(t)))
			sound := []string{"module g711.so", "module aubridge.so", "audio_source aubridge,x", "audio_player aubridge,x", "audio_alert aubridge,y"}
			callee := runBaresip(t, loopback, fmt.Sprintf("<sip:2002@%v;transport=%s>;auth_user=frontdesk;auth_pass=\"open sesame\";regint=60;answermode=auto",
				d.udp, transport), sound...)
			callee.wait(t, registered)
			caller := runBaresip(t, loopback, fmt.Sprintf("<sip:2001@%v;transport=%s>;auth_user=b41d77;auth_pass=correct-horse;regint=60", d.udp, transport),
				append(sound, "module_app ctrl_tcp.so", fmt.Sprint("ctrl_tcp_listen ", control))...)
			caller.wait(t, registered)
			baresipDo(t, control, "dial", "2002")
			caller.wait(t, "SIP/2.0 302 Moved Temporarily")
			caller.wait(t, "Call established: ")
			callee.wait(t, "Call established: ")
			d.waitLog(t, `"event":"redirected"`)
			baresipDo(t, control, "hangup", "")
			callee.wait(t, "BYE sip:2002-") // to its Contact: the daemon has no part in the call
			if strings.Count(caller.output.String(), "INVITE sip:2002@") != 2 {
				t.Errorf("the caller printed:\n%s", caller.output.String())
			}
		})
	}
}

// baresipDo has a phone do something by its control socket (netstrings of JSON).
func baresipDo(t *testing.T, control netip.AddrPort, command, parameters string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", control.String(), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	text := fmt.Sprintf(`{"command":%q,"params":%q}`, command, parameters)
	if _, err := fmt.Fprintf(conn, "%d:%s,", len(text), text); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatalf("baresip does not answer %s: %v", command, err)
	}
}

// A call that has found no phone is explained to whoever asks for that one, until it is there.
func TestWhyACallFindsNoPhone(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, "[calls]\nredirect = yes\npermit = 127.0.0.1\n", deskPeers)
	conn, _ := dialDaemon(t, d)
	call := func(name string) string {
		send(t, conn, fmt.Appendf(nil, "INVITE sip:%s@test SIP/2.0\r\nVia: SIP/2.0/UDP %v;branch=z9hG4bK%[1]s;rport\r\nFrom: <sip:2001@test>;tag=f\r\n"+
			"To: <sip:%[1]s@test>\r\nCall-ID: call-%[1]s\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n", name, conn.LocalAddr()))
		return receive(t, conn)
	}
	if answer := call("2002"); !strings.HasPrefix(answer, "SIP/2.0 480 ") {
		t.Fatalf("answered:\n%s", answer)
	}
	d.checkWhy(t, []string{"2002", "127.0.0.1"}, "Somebody at 127.0.0.1 asked for 2002 (INVITE), and no phone was registered there: it belongs to [Front desk].",
		"sipregctl why 2002 says why its phone is not registered.")
	for answer := call("frontdesk"); !strings.HasPrefix(answer, "SIP/2.0 404 "); answer = receive(t, conn) {
		if !strings.HasPrefix(answer, "SIP/2.0 480 ") { // which comes again without an ACK
			t.Fatalf("answered:\n%s", answer)
		}
	}
	d.checkWhy(t, []string{"frontdesk"}, "no peer has that in its aorname. But it is the authname of [Front desk].", "Dial what it has as aorname: 2002.")
	bindPhone(t, d, "frontdesk", "open sesame", "2002", "sip:2002@127.0.0.1:5098")
	if why := d.why(t, "2002"); !strings.Contains(inLines(why), "It has registered again since.") {
		t.Errorf("why 2002 once it is there: %s", inLines(why))
	}
}

// One look-up that Redis does not answer proves nothing: a phone that another node has
// registered is not told to be away, by the first call neither.
func TestACallWhileRedisDoesNotAnswer(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	nodes := startNodes(t, 2, r.url(), "[calls]\nredirect = yes\npermit = 127.0.0.1\n")
	bindPhone(t, nodes[0], "7f3a9c", "kitchen", "2001", "sip:2001@127.0.0.1:5098")
	conn, _ := dialDaemon(t, nodes[1])
	calls := 0
	call := func(name string) string {
		calls++
		send(t, conn, fmt.Appendf(nil, "INVITE sip:%s@test SIP/2.0\r\nVia: SIP/2.0/UDP %v;branch=z9hG4bK%d;rport\r\nFrom: <sip:2002@test>;tag=f\r\n"+
			"To: <sip:%[1]s@test>\r\nCall-ID: call-%[3]d\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n", name, conn.LocalAddr(), calls))
		return receive(t, conn)
	}
	r.pause(t)
	for _, name := range []string{"2001", "2001", "nobody"} {
		if answer := call(name); !strings.HasPrefix(answer, "SIP/2.0 503 ") || !strings.Contains(answer, "\r\nRetry-After: ") {
			t.Errorf("call %d, of %s, is answered:\n%s", calls, name, answer)
		}
	}
	r.resume(t)
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		answer := call("2001")
		if strings.HasPrefix(answer, "SIP/2.0 302 ") {
			break
		}
		if !strings.HasPrefix(answer, "SIP/2.0 503 ") || time.Now().After(deadline) {
			t.Fatalf("once Redis is back it is answered:\n%s", answer)
		}
	}
	if answer := call("nobody"); !strings.HasPrefix(answer, "SIP/2.0 404 ") {
		t.Errorf("a call of nobody is answered:\n%s", answer)
	}
}
