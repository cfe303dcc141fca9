package transport

import (
	"bufio"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"sipregd/internal/location"
	"sipregd/internal/message"
	"sipregd/internal/transaction"
)

const (
	ordinary = "A sip:r SIP/2.0\r\nContent-Length: 0\r\n\r\n"
	timed    = "TIMED sip:r SIP/2.0\r\nContent-Length: 0\r\n\r\n"
)

// timer is an echo to which everybody has proved itself. The answer to TIMED announces
// a time.
type timer struct {
	echo
	alive time.Duration
}

func (h *timer) Receive(room, data []byte, flow message.Flow, now time.Time) transaction.Reply {
	reply := h.echo.Receive(room, data, flow, now)
	reply.Rests = true
	if strings.HasPrefix(string(data), "TIMED ") {
		reply.Alive = h.alive
	}
	return reply
}

// exchange sends text and reads as many lines.
func exchange(t *testing.T, conn net.Conn, reader *bufio.Reader, text string, lines int) {
	t.Helper()
	write(t, conn, text)
	for range lines {
		readLine(t, reader)
	}
}

func TestLimitOfSilence(t *testing.T) {
	const idle = 3 * time.Hour
	for name, test := range map[string]struct {
		alive aliveness
		want  time.Duration
	}{
		"told nothing":                {aliveness{0, true}, idle},
		"sends no pings":              {aliveness{2 * time.Minute, false}, idle},
		"pings, as it was told to":    {aliveness{2 * time.Minute, true}, 3*time.Minute + deadlineSlack},
		"was told longer than it may": {aliveness{4 * time.Hour, true}, idle},
	} {
		if got := test.alive.limit(idle); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// RFC 5626 §4.4, §5.4: the flow of a phone that was told by Flow-Timer how often to ping,
// and did, is dead when that ends. Each phone talks until the silent one is closed.
func TestAStreamThatFallsSilentIsClosed(t *testing.T) {
	const alive = time.Second
	for _, network := range []string{"tcp", "tls"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			s := listenOn(t, network)
			s.Serve(&timer{alive: alive}, nothing)
			dialed := func() (net.Conn, *bufio.Reader) {
				conn := dialServer(t, network, s)
				return conn, bufio.NewReader(conn)
			}
			silent, fromSilent := dialed()
			talking, fromTalking := dialed()
			quiet, fromQuiet := dialed()
			untold, fromUntold := dialed()
			exchange(t, silent, fromSilent, timed+"\r\n\r\n", 2)
			exchange(t, talking, fromTalking, "\r\n\r\n"+timed, 2)
			exchange(t, quiet, fromQuiet, timed, 1)
			exchange(t, untold, fromUntold, ordinary+"\r\n\r\n", 2)
			ended := make(chan error, 1)
			go func() {
				_, err := fromSilent.ReadByte()
				ended <- err
			}()
			tick := time.NewTicker(alive / 4)
			defer tick.Stop()
			for over := false; !over; {
				select {
				case err := <-ended:
					over = true
					if errors.Is(err, os.ErrDeadlineExceeded) {
						t.Error("a phone that fell silent keeps its stream")
					}
				case <-tick.C:
					exchange(t, talking, fromTalking, "\r\n\r\n", 1)
				}
			}
			exchange(t, talking, fromTalking, ordinary, 1)
			exchange(t, quiet, fromQuiet, ordinary, 1)
			exchange(t, untold, fromUntold, ordinary, 1)
		})
	}
}

// undoing is a store that can make nothing last.
type undoing struct{ Durability }

func (undoing) Commit(location.Mark) error { return errors.New("the disk fails") }

// A phone whose registration was undone was told nothing.
func TestWhatWasUndoneAnnouncesNothing(t *testing.T) {
	for _, store := range []Durability{nothing, undoing{nothing}} {
		st := &stream{handler: &timer{alive: time.Minute}, store: store, all: new(streams)}
		st.answer(nil, [][]byte{[]byte(ordinary), []byte(timed), []byte(ordinary)})
		if _, undone := store.(undoing); (st.alive.announced == 0) != undone {
			t.Errorf("%T: %v is announced", store, st.alive.announced)
		}
	}
}

// RFC 5626 §3.5.1 and §5.4: a ping between messages is answered at once, however it is
// cut, and nothing else is; RFC 7118 §5: a frame holds a whole one.
func TestPingsOnEachStream(t *testing.T) {
	tests := []struct {
		name     string
		pieces   []string
		lines    int // that come back
		streamed bool
	}{
		{"one", []string{"\r\n\r\n"}, 1, false},
		{"several", []string{"\r\n\r\n", "\r\n\r\n", "\r\n\r\n"}, 3, false},
		{"between messages", []string{ordinary, "\r\n\r\n", ordinary}, 3, false},
		{"pongs", []string{"\r\n", ordinary}, 1, false},
		{"several at once", []string{"\r\n\r\n\r\n\r\n"}, 2, true},
		{"in two", []string{"\r\n", "\r\n"}, 1, true},
		{"byte by byte", []string{"\r", "\n", "\r", "\n"}, 1, true},
		{"at the end of a read", []string{ordinary + "\r\n\r", "\n" + ordinary}, 3, true},
	}
	for _, network := range []string{"tcp", "tls", "ws", "wss"} {
		for _, test := range tests {
			if test.streamed && strings.HasPrefix(network, "ws") {
				continue
			}
			t.Run(network+" "+test.name, func(t *testing.T) {
				s := listenOn(t, network)
				s.Serve(&echo{}, nothing)
				conn := dialServer(t, network, s)
				for _, piece := range test.pieces {
					write(t, conn, piece)
				}
				write(t, conn, strings.Replace(ordinary, "A ", "LAST ", 1))
				var got []string
				for reader := bufio.NewReader(conn); len(got) == 0 || !strings.Contains(got[len(got)-1], " LAST "); {
					got = append(got, readLine(t, reader))
				}
				pings := 0
				for _, line := range got {
					if line == "\r" {
						pings++
					}
				}
				if len(got) != test.lines+1 || uint64(pings) != s.Counts().Pings {
					t.Errorf("got %q, counted are %d", got, s.Counts().Pings)
				}
			})
		}
	}
}
