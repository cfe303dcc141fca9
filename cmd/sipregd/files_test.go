package main

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sipregd/internal/config"
)

// allowFiles sets how many files a daemon may have open.
func (d *daemon) allowFiles(t *testing.T, files uint64) {
	t.Helper()
	limit := unix.Rlimit{Cur: files, Max: files}
	if err := unix.Prlimit(d.command.Process.Pid, unix.RLIMIT_NOFILE, &limit, nil); err != nil {
		t.Fatal(err)
	}
}

// files returns how many files a daemon has open.
func (d *daemon) files(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.command.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

// Without file descriptors nothing is accepted, phones that have registered keep their
// streams, those on which nobody has make room, and new phones are served.
func TestADaemonOutOfFilesServesPhones(t *testing.T) {
	d := startDaemon(t, "", phonePeers)
	phone := newClient("tcp", d.tcp.String(), "b41d77", "correct-horse", "2001")
	defer phone.close()
	register := func(c *client) {
		t.Helper()
		c.answerWithin = patience
		if answer, _, err := c.register("Contact: <sip:x@127.0.0.1:9>"); err != nil || answer.status != 200 {
			t.Fatalf("%d, %v", answer.status, err)
		}
	}
	register(phone)
	d.allowFiles(t, uint64(d.files(t)+10))
	for range 50 {
		conn, err := net.Dial("tcp", d.tcp.String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	d.waitLog(t, "too many open files")
	register(phone)
	another := newClient("tcp", d.tcp.String(), "b41d77", "correct-horse", "2001")
	defer another.close()
	register(another)
	register(phone)
}

// A limit on open files below max_streams is said, and kept to.
func TestALimitOnFilesBelowMaxStreamsIsSaid(t *testing.T) {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		streams, allowed int
		warns            bool
	}{{int(files.Cur) - otherFiles, int(files.Cur) - otherFiles, false}, {int(files.Cur), int(files.Cur) - otherFiles, true}} {
		limits, warnings := streamLimits(&config.Config{Listen: config.Listen{TCP: []string{":5060"}, MaxStreams: test.streams}})
		if limits.Streams != test.allowed || len(warnings) > 0 != test.warns {
			t.Errorf("%+v: %+v, %q", test, limits, warnings)
		}
		if want := fmt.Sprintf("LimitNOFILE=%d", test.streams+otherFiles); test.warns && !strings.Contains(warnings[0], want) {
			t.Errorf("no %s in %q", want, warnings)
		}
	}
}
