package transport

import (
	"io"
	"net/netip"
	"testing"
	"time"
)

// Who is not admitted has no stream, and no handshake.
func TestStreamsAreAdmitted(t *testing.T) {
	for _, network := range []string{"tcp", "tls", "wss"} {
		for _, admitted := range []bool{true, false} {
			s := listenOn(t, network)
			asked := make(chan string, 1)
			s.Admits = func(source netip.AddrPort, transport string, now time.Time) bool {
				asked <- source.Addr().String() + " " + transport
				return admitted
			}
			s.Serve(nil, nil)
			conn := dial(t, "tcp", s.listeners[0].Addr().String())
			if got := <-asked; got != "127.0.0.1 "+s.listeners[0].transport {
				t.Errorf("asked for %s", got)
			}
			if !admitted {
				if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
					t.Errorf("%s: not admitted, read: %v", network, err)
				}
			}
			if opened := s.Counts().Accepted; !admitted && opened != 0 {
				t.Errorf("%s: %d streams were opened", network, opened)
			}
			if admitted {
				for deadline := time.Now().Add(patience); s.Counts().Accepted == 0; time.Sleep(time.Millisecond) {
					if time.Now().After(deadline) {
						t.Fatalf("%s: admitted, and not opened", network)
					}
				}
			}
			conn.Close()
		}
	}
}
