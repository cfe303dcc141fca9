package transport

import (
	"bufio"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestCountsOfBatches(t *testing.T) {
	var d datagrams
	for _, taken := range []int{1, 2, 3, 4, 5, 128, 129, batchSize} {
		d.counters.countBatch(taken, taken/100)
	}
	s := listen(t, []string{"127.0.0.1:0"}, nil)
	d.raw = s.readers[0].raw
	s.readers = append(s.readers, &d)
	defer func() { s.readers = s.readers[:len(s.readers)-1] }()
	got := s.Counts()
	want := [batchClasses]Batches{{1, 1}, {2, 1}, {4, 2}, {8, 1}, {16, 0}, {32, 0}, {64, 0}, {128, 1}, {256, 2}}
	if got.Batches != want || got.Datagrams != 528 || got.Dropped != 4 {
		t.Errorf("got %+v, want %v", got, want)
	}
	if last := got.Batches[batchClasses-1].Size; last != batchSize {
		t.Errorf("batches of up to %d are counted, there may be %d", last, batchSize)
	}
}

func TestCountsOfDatagrams(t *testing.T) {
	s, _ := serve(t, []string{"127.0.0.1:0"}, nil)
	conn := dial(t, "udp", s.readers[0].local.String())
	const count = 10
	for range count {
		write(t, conn, "hello\r\n")
		if _, err := conn.Read(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.Counts(); got.Datagrams != count || got.Batches[0].Count != count || got.Dropped != 0 || got.Lost != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestCountsOfWhatIsDroppedInOverload(t *testing.T) {
	s := listen(t, []string{"127.0.0.1:0"}, nil)
	conn := dial(t, "udp", s.readers[0].local.String())
	const count = 100
	for range count {
		write(t, conn, "hello\r\n")
	}
	for _, d := range s.readers { // whichever the kernel has picked
		d.admitted = leastAdmitted
		d.handle(d.takeWaiting(), &echo{}, time.Now(), func(err error) { t.Error(err) })
	}
	if got := s.Counts(); got.Datagrams != count || got.Dropped != count-leastAdmitted {
		t.Errorf("got %+v", got)
	}
}

// Who is not read at all takes no place of others, with credentials or without, and counts
// as nothing for which the kernel would thin them out.
func TestWhoIsNotReadTakesNoPlaceInOverload(t *testing.T) {
	s := listen(t, []string{"127.0.0.1:0"}, nil)
	phone, stranger := dial(t, "udp", s.readers[0].local.String()), dial(t, "udp", s.readers[0].local.String())
	const count = 100
	for range count - leastAdmitted {
		write(t, stranger, "REGISTER sip:r SIP/2.0\r\nAuthorization: Digest\r\n\r\n")
	}
	for range leastAdmitted {
		write(t, phone, "REGISTER sip:r SIP/2.0\r\n\r\n")
	}
	asked := 0
	e := &echo{}
	for _, d := range s.readers { // whichever the kernel has picked
		d.admitted = leastAdmitted
		d.reads = func(source netip.AddrPort, transport string, _ time.Time) (reads, known bool) {
			asked++
			return source.String() == phone.LocalAddr().String() && transport == "UDP", false
		}
		d.handle(d.takeWaiting(), e, time.Now(), func(err error) { t.Error(err) })
	}
	if got := s.Counts(); asked != count || got.Datagrams != count || got.Dropped != 0 {
		t.Errorf("asked for %d, %+v", asked, got)
	}
	if got := e.received.Load(); got != leastAdmitted {
		t.Errorf("%d are handled", got)
	}
}

func TestCountsOfWhatTheKernelDrops(t *testing.T) {
	s := listen(t, []string{"127.0.0.1:0"}, nil) // nothing is read
	for _, d := range s.readers {
		if err := d.conn.SetReadBuffer(4096); err != nil {
			t.Fatal(err)
		}
	}
	conn := dial(t, "udp", s.readers[0].local.String())
	for range 100 {
		write(t, conn, strings.Repeat("x", 1000))
	}
	if got := s.Counts(); got.Lost == 0 || got.Lost >= 100 || got.Datagrams != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestCountsOfStreams(t *testing.T) {
	s := listen(t, nil, []string{"127.0.0.1:0"})
	s.streams.limits.Streams = 2
	s.Serve(newProving(), nothing)
	for range 2 {
		conn := dial(t, "tcp", s.listeners[0].Addr().String())
		write(t, conn, sound)
		readLine(t, bufio.NewReader(conn))
		defer conn.Close()
	}
	if _, err := dial(t, "tcp", s.listeners[0].Addr().String()).Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("one too many is open: %v", err)
	}
	if got := s.Counts(); got.Streams != 2 || got.Accepted != 2 || got.Refused != (Refusals{Total: 1}) {
		t.Errorf("got %+v", got)
	}
	s.Close()
	if got := s.Counts(); got.Streams != 0 || got.Accepted != 2 || got.Refused != (Refusals{Total: 1}) {
		t.Errorf("after the end %+v", got)
	}
}
