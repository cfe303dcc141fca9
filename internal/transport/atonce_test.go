package transport

import (
	"bufio"
	"cmp"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sipregd/internal/location"
	"sipregd/internal/message"
	"sipregd/internal/transaction"
)

// waiting is a handler over a store that makes those with credentials wait: until so many
// wait as the test wants to see at once.
type waiting struct {
	echo
	mu     sync.Mutex
	all    *sync.Cond
	waits  int
	wanted int
	seen   []string
}

func newWaiting(wanted int) *waiting {
	s := &waiting{wanted: wanted}
	s.all = sync.NewCond(&s.mu)
	return s
}

// add counts one more who waits.
func (s *waiting) add() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waits++
	s.all.Broadcast()
}

func (s *waiting) Receive(room, data []byte, flow message.Flow, _ time.Time) transaction.Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	if hasCredentials(data) {
		s.waits++
		s.all.Broadcast()
		for s.waits < s.wanted {
			s.all.Wait()
		}
	}
	s.seen = append(s.seen, string(data))
	return transaction.Reply{Data: append(room, data...), To: flow.Source, Rests: hasCredentials(data)}
}

// collected makes a reader of a batch that has come already.
func collected(t *testing.T, messages []string) (*datagrams, net.Conn) {
	t.Helper()
	s := listen(t, []string{"127.0.0.1:0"}, nil)
	d := s.readers[0]
	d.atOnce = newAtOnce(batchSize)
	t.Cleanup(d.atOnce.end)
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(d.local))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	for i := range messages {
		copy(d.in.buffers[i*bufferStride:], messages[i])
		d.in.headers[i].length = uint32(len(messages[i]))
		from := conn.LocalAddr().(*net.UDPAddr).AddrPort()
		p := newPosting().(*posting)
		p.set(from, nil)
		d.in.names[i], d.in.headers[i].Namelen = p.name, p.header.Namelen
	}
	return d, conn
}

func withCallID(id string, number int) string {
	return fmt.Sprintf("REGISTER %d\r\nCall-ID: %s\r\nAuthorization: Digest\r\n\r\n", number, id)
}

// A batch whose messages wait for the store is answered though none is done before all
// wait: they wait together.
func TestABatchWaitsForTheStoreAtOnce(t *testing.T) {
	const size = 200
	var messages []string
	for i := range size {
		messages = append(messages, withCallID(fmt.Sprint(i), i), fmt.Sprintf("REGISTER without %d", i))
	}
	messages = messages[:batchSize]
	d, conn := collected(t, messages)
	d.answerBatch(len(messages), newWaiting(len(messages)/2), location.NewMemory(time.Now()), func(err error) { t.Error(err) })
	got := readTexts(t, conn, len(messages))
	slices.SortStableFunc(messages, func(a, b string) int { // those who need not wait come first
		return cmp.Compare(strings.Count(a, "Digest"), strings.Count(b, "Digest"))
	})
	if !slices.Equal(got, messages) {
		t.Errorf("the answers are not those of the batch in its order")
	}
}

func readTexts(t *testing.T, conn net.Conn, count int) (texts []string) {
	t.Helper()
	room := make([]byte, 1024)
	for range count {
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, err := conn.Read(room)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(room[:n]))
	}
	return texts
}

// Who is challenged has the answer while others of the batch wait for the store.
func TestAChallengeDoesNotWaitForTheStore(t *testing.T) {
	d, conn := collected(t, []string{withCallID("a", 0), "REGISTER without"})
	handler := newWaiting(2)
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.answerBatch(2, handler, location.NewMemory(time.Now()), func(err error) { t.Error(err) })
	}()
	if got := readTexts(t, conn, 1); got[0] != "REGISTER without" {
		t.Errorf("got %q", got)
	}
	handler.add() // whom the first one waits for
	if got := readTexts(t, conn, 1); got[0] != withCallID("a", 0) {
		t.Errorf("got %q", got)
	}
	<-done
}

// Requests of one call that wait one after the other do not hold up all others for long.
func TestAQueueEnds(t *testing.T) {
	var messages []string
	for i := range batchSize {
		messages = append(messages, withCallID("a", i))
	}
	d, conn := collected(t, messages)
	d.answerBatch(len(messages), &sleeper{took: longestQueue / 4}, location.NewMemory(time.Now()), func(err error) { t.Error(err) })
	readTexts(t, conn, 1)
	if got := len(d.resting.headers); got == 0 || got > 4 {
		t.Errorf("%d were handled, each a quarter of the longest time", got)
	} else if dropped := d.counters.dropped.Load(); int(dropped) != batchSize-got {
		t.Errorf("%d are counted as dropped", dropped)
	}
}

// sleeper is a handler that takes long.
type sleeper struct {
	echo
	took time.Duration
}

func (s *sleeper) Receive(room, data []byte, flow message.Flow, _ time.Time) transaction.Reply {
	time.Sleep(s.took)
	return transaction.Reply{Data: append(room, data...), To: flow.Source, Rests: true}
}

// Goroutines are made for the largest batch and serve all others, so that none has to grow
// its stack anew for each request.
func TestGoroutinesAreKeptFromBatchToBatch(t *testing.T) {
	messages := []string{withCallID("a", 0), withCallID("b", 1), withCallID("c", 2), withCallID("d", 3)}
	d, _ := collected(t, messages)
	for _, size := range []int{2, 4, 3, 4, 1} {
		d.answerBatch(size, newWaiting(size), location.NewMemory(time.Now()), func(err error) { t.Error(err) })
	}
	if got := d.atOnce.workers; got != 3 {
		t.Errorf("%d goroutines beside the reader's for batches of at most 4", got)
	}
}

// Requests of one source with one Call-ID are handled one after the other, in order.
func TestWhatBelongsTogetherKeepsItsOrder(t *testing.T) {
	var messages []string
	for i := range batchSize {
		messages = append(messages, withCallID(fmt.Sprint(i%5), i))
	}
	d, _ := collected(t, messages)
	handler := newWaiting(5)
	d.answerBatch(len(messages), handler, location.NewMemory(time.Now()), func(err error) { t.Error(err) })
	last := map[string]int{}
	for _, text := range handler.seen {
		var number int
		_, _ = fmt.Sscanf(text, "REGISTER %d", &number)
		id := string(callIDOf([]byte(text)))
		if before, found := last[id]; found && number < before {
			t.Errorf("%d of %s was handled after %d", number, id, before)
		}
		last[id] = number
	}
	if len(handler.seen) != batchSize || len(last) != 5 {
		t.Errorf("%d were handled, of %d calls", len(handler.seen), len(last))
	}
}

func TestCallIDOf(t *testing.T) {
	for text, want := range map[string]string{
		"REGISTER\r\nCall-ID: a@b\r\nTo: x\r\n": "a@b",
		"REGISTER\r\nCall-ID:a\n":               "a",
		"REGISTER\r\nCall-ID: cut":              "cut",
		"REGISTER\r\ni: a\r\n":                  "a",
		"REGISTER\r\nCALL-ID: a\r\n":            "",
		"":                                      "",
	} {
		if got := string(callIDOf([]byte(text))); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// The whole server takes the way where the store blocks: two phones that wait for each
// other are both answered.
func TestAServerWhoseStoreBlocks(t *testing.T) {
	s := listen(t, []string{"127.0.0.1:0"}, nil)
	s.Blocks = true
	d := s.readers[0]
	for _, other := range s.readers[1:] { // one reader has all
		other.close()
	}
	s.readers = s.readers[:1]
	first, second := dial(t, "udp", d.local.String()), dial(t, "udp", d.local.String())
	write(t, first, withCallID("a", 1))
	write(t, second, withCallID("b", 2))
	s.Serve(newWaiting(2), location.NewMemory(time.Now()))
	for _, conn := range []net.Conn{first, second} {
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.HasPrefix(line, "REGISTER ") {
			t.Errorf("got %q, %v", line, err)
		}
	}
}

func TestWhatMayWaitForTheStore(t *testing.T) {
	for text, want := range map[string]bool{
		"REGISTER sip:r SIP/2.0\r\nFrom: <sip:a@r>\r\n\r\n":         false,
		"REGISTER sip:r SIP/2.0\r\nAuthorization: Digest x\r\n\r\n": true,
		"OPTIONS sip:r SIP/2.0\r\nFrom: <sip:a@r>\r\n\r\n":          false,
		"OPTIONS sip:a@r SIP/2.0\r\nFrom: <sip:a@r>\r\n\r\n":        true,
		"INVITE sip:a@r SIP/2.0\r\nFrom: <sip:a@r>\r\n\r\n":         true,
		"ACK sip:a@r SIP/2.0\r\nFrom: <sip:a@r>\r\n\r\n":            false,
		"SIP/2.0 200 OK\r\nFrom: <sip:a@r>\r\n\r\n":                 false,
		"\r\n\r\n": false,
	} {
		if got := mayWait([]byte(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
