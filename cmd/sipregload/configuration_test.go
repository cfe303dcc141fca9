package main

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestConfigurationNamesTheStore(t *testing.T) {
	c := configuration{directory: t.TempDir(), address: netip.MustParseAddrPort("127.0.0.1:5070"),
		peers: peersOfSipregd(2), store: "file", level: "warn"}
	if err := c.write(); err != nil {
		t.Fatal(err)
	}
	conf, err := os.ReadFile(c.path())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"udp = 127.0.0.1:5070\ntcp =\n", "[location]\nstore = file\npath = store\n", "level = warn\nformat = json\n"} {
		if !strings.Contains(string(conf), want) {
			t.Errorf("%q lacks %q", conf, want)
		}
	}
	if c.storePath() != filepath.Join(filepath.Dir(c.path()), "store") {
		t.Errorf("the store is at %s, which is not what path = store means", c.storePath())
	}
	peers, err := os.ReadFile(filepath.Join(c.directory, "peers.conf"))
	if err != nil || bytes.Count(peers, []byte("[label ")) != 2 {
		t.Errorf("%q, %v, want two peers", peers, err)
	}
}

func TestStreamsAreListenedToWhereAsked(t *testing.T) {
	c := configuration{address: netip.MustParseAddrPort("127.0.0.1:5070"), tcp: true}
	if text := c.text(); !strings.Contains(text, "\ntcp = 127.0.0.1:5070\n") {
		t.Errorf("%q", text)
	}
}

func TestWhatIsNotSavedIsFoundInTheLog(t *testing.T) {
	const line = `{"level":"error","event":"not_durable","unsaved":9}` + "\n"
	const other = `{"level":"warn","event":"refused","detail":"not_durable"}` + "\n"
	for _, test := range []struct{ name, log, want string }{
		{"nothing", "", ""},
		{"another event", other, ""},
		{"one among others", other + line + other, line},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := string(notDurable([]byte(test.log))); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
