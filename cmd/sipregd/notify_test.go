package main

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// A client that others wrote subscribes, is told all of a phone that is there, then that it
// goes, and unsubscribes.
func TestSIPpWatchesAPhone(t *testing.T) {
	requireProgram(t, "sipp", "sip-tester")
	for _, transport := range []string{"u1", "t1"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
			d := startDaemon(t, "[calls]\nevents = yes\n[log]\nlevel = debug\n[admin]\nsocket =\nhttp = "+address+"\n", officePeers)
			desk := newClient("udp", d.udp.String(), "b41d77", "correct-horse", "2001")
			defer desk.close()
			register := func(expires int) {
				answer, _, err := desk.register("Contact: <sip:desk@127.0.0.1:5062>", fmt.Sprintf("Expires: %d", expires))
				if err != nil || answer.status != 200 {
					t.Errorf("got %+v, %v", answer, err)
				}
			}
			register(600)
			watched := make(chan struct{})
			go func() {
				defer close(watched)
				sipp(t, "watch", transport, d.udp, as("2001", "7f3a9c", "any;text#at all")...)
			}()
			for deadline := time.Now().Add(patience); !strings.Contains(get(t, "http://"+address+"/metrics"), "sipregd_notifies_total 1"); {
				if time.Now().After(deadline) {
					t.Fatal("nobody was told anything")
				}
				time.Sleep(20 * time.Millisecond)
			}
			register(0)
			<-watched
			d.waitLog(t, `"event":"unsubscribed"`)
			d.stop(t)
			checkRefusals(t, d, "")
		})
	}
}

// Where nobody may subscribe that is said.
func TestSubscriptionsAreOffByDefault(t *testing.T) {
	d := startDaemon(t, "", officePeers)
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(d.udp))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answer := exchange(t, conn, []byte("SUBSCRIBE sip:2001@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5099;rport;branch=z9hG4bK1\r\n"+
		"From: <sip:2001@127.0.0.1>;tag=1\r\nTo: <sip:2001@127.0.0.1>\r\nCall-ID: 1\r\nCSeq: 1 SUBSCRIBE\r\nEvent: reg\r\n"+
		"Contact: <sip:2001@127.0.0.1:5099>\r\nContent-Length: 0\r\n\r\n"))
	if !strings.HasPrefix(answer, "SIP/2.0 405 ") || strings.Contains(answer, "SUBSCRIBE,") {
		t.Errorf("got:\n%s", answer)
	}
}

// What the README says of Kamailio: it fills its table of phones from registration events,
// and calls come to those that are there.
func TestKamailioWatchesPhones(t *testing.T) {
	requireProgram(t, "sipp", "sip-tester")
	kamailio := requireKamailio(t, "pua_reginfo", "kamailio-presence-modules")
	t.Parallel()
	d := startDaemon(t, "[calls]\nevents = yes\npermit = 127.0.0.1\n[log]\nlevel = debug\n", officePeers)
	proxy := netip.AddrPortFrom(loopback, uint16(freePort(t)))
	startKamailio(t, kamailio, "reginfo.cfg", map[string]netip.AddrPort{"127.0.0.1:5070": proxy, "127.0.0.1:5060": d.udp})
	sipp(t, "call-480", "u1", proxy, "-s", "2002")
	d.waitLog(t, `"event":"subscribed"`)
	callee, wait := startCallee(t)
	bindPhone(t, d, "frontdesk", "open sesame", "2002", fmt.Sprintf("sip:2002@%v", callee))
	sipp(t, "call", "u1", proxy, "-s", "2002")
	wait()
	d.waitLog(t, `"event":"subscribed"`)
	d.stop(t)
	checkRefusals(t, d, "")
}
