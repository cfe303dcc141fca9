package transport

import (
	"bufio"
	"context"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sipregd/internal/location"
)

// passOn returns sockets as another process passes them on. They are held until the test
// ends.
func passOn(t *testing.T, conns ...interface{ File() (*os.File, error) }) (files []*os.File) {
	t.Helper()
	for _, conn := range conns {
		file, err := conn.File()
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

func inherit(t *testing.T, conns ...interface{ File() (*os.File, error) }) *Inherited {
	t.Helper()
	in, err := Inherit(passOn(t, conns...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(in.Close)
	return in
}

// openPacket opens what a test passes on.
func openPacket(t *testing.T, network, address string) *net.UDPConn {
	t.Helper()
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		if !strings.HasSuffix(network, "46") {
			return nil
		}
		return raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0) })
	}}
	conn, err := config.ListenPacket(context.Background(), strings.TrimSuffix(network, "46"), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.UDPConn)
}

func openStream(t *testing.T, network, address string) *net.TCPListener {
	t.Helper()
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener.(*net.TCPListener)
}

// What comes while nobody serves waits for the next server, over UDP and TCP, of both
// families.
func TestInheritedSocketsKeepWhatComes(t *testing.T) {
	udp4, tcp4 := openPacket(t, "udp4", "0.0.0.0:0"), openStream(t, "tcp4", "127.0.0.1:0")
	udp6, tcp6 := openPacket(t, "udp6", "[::]:0"), openStream(t, "tcp6", "[::1]:0")
	_, port4, _ := net.SplitHostPort(udp4.LocalAddr().String())
	_, port6, _ := net.SplitHostPort(udp6.LocalAddr().String())
	addresses := Addresses{
		UDP: []string{"0.0.0.0:" + port4, "[::]:" + port6},
		TCP: []string{tcp4.Addr().String(), tcp6.Addr().String()},
	}
	phones := map[string]net.Conn{
		"udp4": dial(t, "udp", "127.0.0.1:"+port4), "udp6": dial(t, "udp", "[::1]:"+port6),
		"tcp4": dial(t, "tcp", tcp4.Addr().String()), "tcp6": dial(t, "tcp", tcp6.Addr().String()),
	}
	for life := range 3 {
		for _, phone := range phones {
			write(t, phone, sound)
		}
		addresses.Inherited = inherit(t, udp4, tcp4, udp6, tcp6)
		s, err := Listen(addresses, nil, time.Hour, func(err error) { t.Error(err) })
		if err != nil {
			t.Fatal(err)
		}
		if want := 2 * runtime.GOMAXPROCS(0); len(s.readers) != want || len(s.listeners) != 2 {
			t.Errorf("%d readers and %d listeners, want %d and 2", len(s.readers), len(s.listeners), want)
		}
		s.Serve(&echo{}, nothing)
		for name, phone := range phones {
			local, _, _ := net.SplitHostPort(phone.RemoteAddr().String())
			want := strings.ToUpper(name[:3]) + " " + phone.LocalAddr().String() + " " + local + " A sip:r SIP/2.0"
			if line := readLine(t, bufio.NewReader(phone)); line != want {
				t.Errorf("life %d, %s: got %q, want %q", life, name, line, want)
			}
		}
		begun := time.Now()
		s.Close()
		if took := time.Since(begun); took > closeTime/2 {
			t.Errorf("the close took %v", took)
		}
		for name, listener := range map[string]*net.TCPListener{"tcp4": tcp4, "tcp6": tcp6} {
			phones[name].Close()
			phones[name] = dial(t, "tcp", listener.Addr().String())
		}
	}
}

// All readers of one socket read, and what the kernel drops is counted once.
func TestReadersOfAnInheritedSocket(t *testing.T) {
	udp := openPacket(t, "udp4", "127.0.0.1:0")
	s, err := Listen(Addresses{UDP: []string{udp.LocalAddr().String()}, Inherited: inherit(t, udp)}, nil, time.Hour, func(error) {}) // it tells of the overload, on a busy machine
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	phone := dial(t, "udp", udp.LocalAddr().String())
	for s.Counts().Lost == 0 {
		write(t, phone, sound)
	}
	lost, drops := s.Counts().Lost, uint64(0)
	_ = s.readers[0].raw.Control(func(fd uintptr) {
		memory, _ := socketMemory(fd)
		drops = uint64(memory[unix.SK_MEMINFO_DROPS])
	})
	if lost != drops {
		t.Errorf("%d are lost, the kernel says %d", lost, drops)
	}
	h := &held{began: make(chan struct{}), let: make(chan struct{})}
	s.Serve(h, nothing)
	for range s.readers { // each handles one at the same time
		receive(t, h.began, "a reader does not read")
		write(t, phone, sound)
	}
	go func() {
		for range h.began {
		}
	}()
	close(h.let)
}

func TestDifferencesOfInheritedSockets(t *testing.T) {
	in := &Inherited{sockets: []*inheritedSocket{{name: "udp 0.0.0.0:5060"}, {name: "udp [::]:5060"}, {name: "tcp 192.0.2.1:5061"}}}
	for _, test := range []struct {
		name      string
		addresses Addresses
		want      []string // beginnings
	}{
		{"all match", Addresses{UDP: []string{":5060"}, TLS: []string{"192.0.2.1:5061"}}, nil},
		{"of one family", Addresses{UDP: []string{"0.0.0.0:5060"}, TLS: []string{"192.0.2.1:5061"}}, []string{"systemd holds udp [::]:5060,"}},
		{"another kind", Addresses{UDP: []string{":5060", "192.0.2.1:5061"}}, []string{"systemd holds tcp 192.0.2.1:5061,", "systemd does not hold udp 192.0.2.1:5061,"}},
		{"another port", Addresses{UDP: []string{":5060"}, WS: []string{"192.0.2.1:8080"}},
			[]string{"systemd holds tcp 192.0.2.1:5061,", "systemd does not hold tcp 192.0.2.1:8080,"}},
		{"another address", Addresses{UDP: []string{":5060"}, MutualTLS: []string{":5061"}},
			[]string{"systemd holds tcp 192.0.2.1:5061,", "systemd does not hold tcp 0.0.0.0:5061,", "systemd does not hold tcp [::]:5061,"}},
	} {
		got := in.Differences(test.addresses)
		if !slices.EqualFunc(got, test.want, strings.HasPrefix) {
			t.Errorf("%s: %q", test.name, got)
		}
	}
	if got := (&Inherited{}).Differences(Addresses{UDP: []string{":5060"}}); got != nil {
		t.Errorf("without sockets: %q", got)
	}
}

func TestSocketsThatCannotBeInherited(t *testing.T) {
	unixSocket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: t.TempDir() + "/s", Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer unixSocket.Close()
	for _, test := range []struct {
		name, fault string
		conn        interface{ File() (*os.File, error) }
	}{
		{"both families", "BindIPv6Only=ipv6-only", openPacket(t, "udp46", "[::]:0")},
		{"no socket of IP", "neither a UDP socket nor a TCP listener", unixSocket},
	} {
		if _, err := Inherit(passOn(t, test.conn)); err == nil || !strings.Contains(err.Error(), test.fault) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// A server that shares its address ends: what it has got it answers, what comes meanwhile
// the other one.
func TestAHandOverLosesNothing(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "0.0.0.0", "[::1]", "[::]"} {
		t.Run(host, func(t *testing.T) {
			one := share(t, host+":0")
			h := &held{began: make(chan struct{}), let: make(chan struct{})}
			one.Serve(h, nothing)
			_, port, _ := net.SplitHostPort(one.readers[0].local.String())
			var phones []net.Conn
			for range 16 * len(one.readers) { // of each of which the kernel decides whose it is
				to := strings.NewReplacer("0.0.0.0", "127.0.0.1", "[::]", "[::1]").Replace(host) + ":" + port
				phones = append(phones, dial(t, "udp", to))
			}
			writeAll := func() {
				for _, phone := range phones {
					write(t, phone, sound)
				}
			}
			writeAll()
			for range one.readers { // all are busy with what they got
				receive(t, h.began, "nothing is handled")
			}
			other := share(t, host+":"+port)
			other.Serve(&echo{}, nothing)
			writeAll()

			closed := make(chan struct{})
			go func() { one.Close(); close(closed) }()
			waitClosed(t, one)
			for range one.readers {
				h.let <- struct{}{}
			}
			for wrote := false; ; {
				select {
				case <-h.began:
					if !wrote && h.received.Load() >= int64(len(phones)) { // these are the last that have come
						wrote = true
						writeAll()
					}
					h.let <- struct{}{}
					continue
				case <-closed:
				}
				if !wrote {
					t.Error("nothing was left at the end")
				}
				break
			}
			for i, phone := range phones {
				reader := bufio.NewReader(phone)
				for range 3 {
					if line := readLine(t, reader); !strings.HasPrefix(line, "UDP "+phone.LocalAddr().String()) {
						t.Errorf("phone %d: got %q", i, line)
					}
				}
			}
		})
	}
}

func share(t *testing.T, address string) *Server {
	t.Helper()
	s, err := Listen(Addresses{UDP: []string{address}, Shared: true}, nil, time.Hour, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestPortsAreSharedByThoseAloneWhoSaySo(t *testing.T) {
	for _, test := range []struct {
		name       string
		one, other bool
		fails      bool
	}{
		{"both", true, true, false}, {"the first", true, false, true}, {"the second", false, true, true},
	} {
		one, err := Listen(Addresses{UDP: []string{"127.0.0.1:0"}, TCP: []string{"127.0.0.1:0"}, Shared: test.one}, nil, time.Hour, func(error) {})
		if err != nil {
			t.Fatal(err)
		}
		for i, address := range one.Addresses() {
			lists := [2][]string{}
			lists[i] = []string{strings.Fields(address)[1]}
			err := tryListen(Addresses{UDP: lists[0], TCP: lists[1], Shared: test.other})
			if (err != nil) != test.fails || err != nil && !strings.Contains(err.Error(), "another sipregd") {
				t.Errorf("%s, %s: %v", test.name, address, err)
			}
			if err != nil && strings.Contains(err.Error(), "share_ports = yes") != test.other {
				t.Errorf("%s, %s: what to do is told wrongly: %v", test.name, address, err)
			}
		}
		one.Close()
	}
}

// tryListen opens sockets and closes them again.
func tryListen(addresses Addresses) error {
	s, err := Listen(addresses, nil, time.Hour, func(error) {})
	if err == nil {
		s.Close()
	}
	return err
}

// Who does not share has its address for itself, whichever way that is written.
func TestWhoSharesFindsWhoDoesNot(t *testing.T) {
	for _, test := range []struct {
		name, alone, shares string // "P" is a port
		fails               bool
	}{
		{"IPv4", "127.0.0.1:P", "127.0.0.1:P", true},
		{"IPv6", "[::1]:P", "[::1]:P", true},
		{"by a name", "127.0.0.1:P", "localhost:P", true},
		{"every address", ":P", ":P", true},
		{"every address of IPv6, one of it", "[::]:P", "[::1]:P", true},
		{"every address of IPv4, one of it", "0.0.0.0:P", "127.0.0.1:P", true},
		{"every address of the other family", "[::]:P", "127.0.0.1:P", false},
		{"another address", "127.0.0.1:P", "127.0.0.2:P", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			one, err := Listen(Addresses{UDP: []string{strings.Replace(test.alone, "P", "0", 1)}}, nil, time.Hour, func(error) {})
			if err != nil {
				t.Fatal(err)
			}
			defer one.Close()
			_, port, _ := net.SplitHostPort(one.readers[0].local.String())
			shares := Addresses{UDP: []string{strings.Replace(test.shares, "P", port, 1)}, Shared: true}
			if err := tryListen(shares); (err != nil) != test.fails || err != nil && !strings.Contains(err.Error(), "share_ports = yes") {
				t.Errorf("beside it: %v", err)
			}
			one.Close()
			if err := tryListen(shares); err != nil {
				t.Errorf("after it: %v", err)
			}
		})
	}
}

// Whoever looks for it, and be it all the time, a claim is seen.
func TestAClaimIsSeenHoweverOftenItWasLookedFor(t *testing.T) {
	s := listen(t, []string{"127.0.0.1:0"}, nil)
	s.Serve(&echo{}, location.NewMemory(time.Now()))
	name := claimOf("udp " + s.readers[0].local.String())
	const queue = 4096 // net.core.somaxconn, which bounds those who wait
	for i := range 2 * queue {
		if !isClaimed(name) {
			t.Fatalf("not seen the %dth time", i)
		}
	}
}

// A name that somebody else has is not in the way of who shares with nobody.
func TestANameThatIsTakenDoesNoHarm(t *testing.T) {
	free := openPacket(t, "udp4", "127.0.0.1:0")
	local := free.LocalAddr().(*net.UDPAddr).AddrPort()
	free.Close()
	taken, err := net.Listen("unix", claimOf("udp "+local.String()))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if err := tryListen(Addresses{UDP: []string{local.String()}}); err != nil {
		t.Error(err)
	}
}
