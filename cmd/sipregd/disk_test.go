package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const diskPeers = `
[Desk]
authname = desk
secret = d
aorname = *
max_contacts = 1000
`

// mountSmall mounts a file system in memory of 32 MB for the test, as a disk
// that can be filled.
func mountSmall(t *testing.T) string {
	t.Helper()
	directory := t.TempDir()
	if err := tryToMount(t, directory); err != nil {
		skip(t, "no file system can be mounted here (%v): run this as root", err)
	}
	return directory
}

func tryToMount(t *testing.T, directory string) error {
	t.Helper()
	if err := syscall.Mount("tmpfs", directory, "tmpfs", 0, "size=32m"); err != nil {
		return err
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(directory, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return nil
}

// fill takes all space of a disk, to the last byte, and returns the file.
func fill(t *testing.T, directory string) string {
	t.Helper()
	path := filepath.Join(directory, "filler")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for size := 1 << 20; size > 0; {
		if _, err := file.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func diskConf(directory, more string) string {
	return "[location]\npath = " + filepath.Join(directory, "state") + "\n" + more
}

func deskClient(d *daemon, network, aorname string) *client {
	return newClient(network, d.udp.String(), "desk", "d", aorname)
}

// mustRegister binds an AOR to a Contact of its own, which has to be answered
// so within two seconds.
func mustRegister(t *testing.T, d *daemon, aorname string, want int) reply {
	t.Helper()
	c := deskClient(d, "udp", aorname)
	defer c.close()
	answer, _, err := c.register("Contact: <sip:" + aorname + "@127.0.0.1>;expires=3600")
	if err != nil || answer.status != want {
		t.Fatalf("%s: answered %d, %v, want %d", aorname, answer.status, err, want)
	}
	return answer
}

// mustAnswer sends a REGISTER with those lines, which has to be answered so
// within two seconds.
func (c *client) mustAnswer(t *testing.T, want int, lines ...string) reply {
	t.Helper()
	answer, _, err := c.register(lines...)
	if err != nil || answer.status != want {
		t.Fatalf("%s: %v was answered %d, %v, want %d", c.aorname, lines, answer.status, err, want)
	}
	return answer
}

func isBound(t *testing.T, d *daemon, aorname string) bool {
	t.Helper()
	return len(query(t, d, aorname)) == 1
}

// query lists the Contacts of an AOR with the seconds that are left to them.
func query(t *testing.T, d *daemon, aorname string) map[string]int {
	t.Helper()
	c := deskClient(d, "udp", aorname)
	defer c.close()
	return c.mustAnswer(t, 200).contacts
}

// waitEvent waits until the log has a line about an event behind its first
// bytes, and no longer than that.
func (d *daemon) waitEvent(t *testing.T, event string, behind int, atMost time.Duration) {
	t.Helper()
	text := fmt.Sprintf(`"event":"%s"`, event)
	for until := time.Now().Add(atMost); !strings.Contains(d.output.String()[behind:], text); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("no %s within %v:\n%s", text, atMost, withoutAdded(d.output.String()[behind:]))
		}
	}
}

// A phone that is there before the disk fails changes its bindings while it
// does: refreshes one, removes another and adds a third.
const (
	kept    = "sip:changing@127.0.0.1:7001"
	dropped = "sip:changing@127.0.0.1:7002"
	added   = "sip:changing@127.0.0.1:7003"
)

func contactLine(uri string, expires int) string {
	return fmt.Sprintf("Contact: <%s>;expires=%d", uri, expires)
}

// changeAmid makes those changes, each of which has to be answered so.
func changeAmid(t *testing.T, c *client, want int) {
	t.Helper()
	for _, line := range []string{contactLine(kept, 3000), contactLine(dropped, 0), contactLine(added, 600)} {
		answer := c.mustAnswer(t, want, line)
		if want == 503 && answer.header.Get("Retry-After") == "" {
			t.Errorf("no Retry-After: %v", answer.header)
		}
	}
}

// wantListed compares the Contacts of an AOR and their expiry with what is
// wanted; the expiry may have run down since then, with two seconds of grace.
func wantListed(t *testing.T, d *daemon, aorname string, want map[string]int, since time.Time) {
	t.Helper()
	listed, gone := query(t, d, aorname), int(time.Since(since).Seconds())
	same := len(listed) == len(want)
	for contact, expires := range want {
		left, found := listed[contact]
		same = same && found && left <= expires+2 && left >= expires-gone-2
	}
	if !same {
		t.Errorf("%s is bound to %v, want %v less up to %d seconds", aorname, listed, want, gone)
	}
}

// outage is how long the disk is full: a minute behind make endure.
func outage(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("SIPREGD_DISKFULL")
	if text == "" {
		return 8 * time.Second
	}
	seconds, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(seconds) * time.Second
}

// The disk is full for a while: phones do not notice, and afterwards nothing is
// lost.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := mountSmall(t)
	d := startDaemon(t, diskConf(disk, ""), diskPeers)
	registered := 0
	register := func(length time.Duration) {
		for until := time.Now().Add(length); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
			mustRegister(t, d, fmt.Sprint("phone", registered), 200)
			registered++
		}
	}
	changing, leaving := deskClient(d, "udp", "changing"), deskClient(d, "tcp", "leaving")
	defer changing.close()
	defer leaving.close()
	changing.mustAnswer(t, 200, contactLine(kept, 900), contactLine(dropped, 900))
	leaving.mustAnswer(t, 200, contactLine("sip:leaving@127.0.0.1", 900))
	register(time.Second)
	before := len(d.output.String())
	filler := fill(t, disk)
	register(3 * time.Second)
	d.waitEvent(t, "not_durable", before, 0)
	changed := time.Now()
	changeAmid(t, changing, 200)
	leaving.mustAnswer(t, 200, "Contact: *", "Expires: 0")
	register(outage(t))
	if log := d.output.String()[before:]; strings.Count(log, `"event":"not_durable"`) < 2 ||
		strings.Count(log, "\n")-strings.Count(log, `"event":"added"`) > 30*int(outage(t).Seconds()+4) {
		t.Errorf("of a disk that is full the log says:\n%s", withoutAdded(log))
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	freed := time.Now()
	d.waitEvent(t, "durable", before, 5*time.Second)
	took := time.Since(freed)
	register(time.Second)
	d.kill(t)
	d = d.again(t)
	wantListed(t, d, "changing", map[string]int{kept: 3000, added: 600}, changed)
	if isBound(t, d, "leaving") {
		t.Error("what was removed while the disk was full is bound again")
	}
	for i := range registered {
		if aorname := fmt.Sprint("phone", i); !isBound(t, d, aorname) {
			t.Errorf("%s of %d is lost", aorname, registered)
		}
	}
	t.Logf("%d registrations, each answered 200; durable %v after the disk was freed", registered, took)
}

func withoutAdded(log string) string {
	var rest strings.Builder
	for line := range strings.Lines(log) {
		if !strings.Contains(line, `"event":"added"`) {
			rest.WriteString(line)
		}
	}
	return rest.String()
}

// Who requires durability is answered 503 while the disk is full, and then
// nothing has happened.
func TestFullDiskWhereDurabilityIsRequired(t *testing.T) {
	t.Parallel()
	disk := mountSmall(t)
	d := startDaemon(t, diskConf(disk, "require_durable = yes\n"), diskPeers)
	mustRegister(t, d, "before", 200)
	changing := deskClient(d, "tcp", "changing")
	defer changing.close()
	began := time.Now()
	changing.mustAnswer(t, 200, contactLine(kept, 900), contactLine(dropped, 900))
	before := len(d.output.String())
	filler := fill(t, disk)
	for i := range 10 {
		answer := mustRegister(t, d, fmt.Sprint("amid", i), 503)
		if answer.header.Get("Retry-After") == "" {
			t.Errorf("no Retry-After: %v", answer.header)
		}
		if isBound(t, d, fmt.Sprint("amid", i)) {
			t.Error("what was refused is bound")
		}
	}
	c := deskClient(d, "tcp", "before")
	defer c.close()
	if answer, _, err := c.register("Contact: *", "Expires: 0"); err != nil || answer.status != 503 || !isBound(t, d, "before") {
		t.Errorf("removal: %v, %v", answer, err)
	}
	changeAmid(t, changing, 503)
	unchanged := map[string]int{kept: 900, dropped: 900}
	wantListed(t, d, "changing", unchanged, began)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	d.waitEvent(t, "durable", before, 5*time.Second)
	mustRegister(t, d, "after", 200)
	wantListed(t, d, "changing", unchanged, began)
	d.kill(t)
	d = d.again(t)
	wantListed(t, d, "changing", unchanged, began)
	for aorname, want := range map[string]bool{"before": true, "after": true, "amid0": false, "amid9": false} {
		if isBound(t, d, aorname) != want {
			t.Errorf("%s is bound: %v", aorname, !want)
		}
	}
}

// A disk that can be read only: what is on it is served, and saved again once it
// can be written.
func TestReadOnlyDisk(t *testing.T) {
	t.Parallel()
	disk := mountSmall(t)
	d := startDaemon(t, diskConf(disk, ""), diskPeers)
	mustRegister(t, d, "before", 200)
	changing := deskClient(d, "udp", "changing")
	changing.mustAnswer(t, 200, contactLine(kept, 900), contactLine(dropped, 900))
	changing.close()
	d.stop(t)
	if err := syscall.Mount("", disk, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	d = d.again(t)
	d.waitLog(t, `"event":"not_durable"`)
	if !isBound(t, d, "before") {
		t.Error("what can be read is not served")
	}
	mustRegister(t, d, "amid", 200)
	changed := time.Now()
	changeAmid(t, changing, 200) // goes on in its Call-ID
	changing.close()
	before := len(d.output.String())
	if err := syscall.Mount("", disk, "", syscall.MS_REMOUNT, ""); err != nil {
		t.Fatal(err)
	}
	d.waitEvent(t, "durable", before, 5*time.Second)
	d.kill(t)
	d = d.again(t)
	wantListed(t, d, "changing", map[string]int{kept: 3000, added: 600}, changed)
	if !isBound(t, d, "before") || !isBound(t, d, "amid") {
		t.Error("not all is there")
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	t.Run("missing directories are made", func(t *testing.T) {
		d := startDaemon(t, "[location]\npath = a/b/c\n", diskPeers)
		mustRegister(t, d, "1", 200)
		if _, err := os.Stat(filepath.Join(d.directory, "a/b/c/bindings")); err != nil {
			t.Error(err)
		}
	})
	t.Run("memory writes nothing", func(t *testing.T) {
		d := startDaemon(t, "[location]\nstore = memory\npath = state\n", diskPeers)
		mustRegister(t, d, "1", 200)
		if _, err := os.Stat(filepath.Join(d.directory, "state")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("there is a store: %v", err)
		}
	})
	t.Run("a file", func(t *testing.T) {
		d := prepareDaemon(t, "[location]\npath = peers.conf\n", diskPeers)
		if text, status := d.fail(t); status != 1 || !strings.Contains(text, "peers.conf") || !strings.Contains(text, "directory") {
			t.Errorf("exit status %d: %s", status, text)
		}
	})
	t.Run("in use", func(t *testing.T) {
		first := startDaemon(t, "", diskPeers)
		second := prepareDaemon(t, "[location]\npath = "+filepath.Join(first.directory, "state")+"\n", diskPeers)
		if text, status := second.fail(t); status != 1 || !strings.Contains(text, "another sipregd") {
			t.Errorf("exit status %d: %s", status, text)
		}
		mustRegister(t, first, "1", 200)
	})
}

// fail runs a daemon that is expected to end by itself.
func (d *daemon) fail(t *testing.T, arguments ...string) (output string, status int) {
	t.Helper()
	return d.tool(t, "", arguments...)
}

// tool runs the binary with the daemon's configuration, a standard input and
// more arguments, until it ends.
func (d *daemon) tool(t *testing.T, input string, arguments ...string) (output string, status int) {
	t.Helper()
	command := exec.CommandContext(t.Context(), buildDaemon(t),
		append([]string{"--config", filepath.Join(d.directory, "sipregd.conf")}, arguments...)...)
	command.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	command.Stdin = strings.NewReader(input)
	var text bytes.Buffer
	command.Stdout, command.Stderr = &text, &text
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return text.String(), command.ProcessState.ExitCode()
}

// What expired or lost its peer while no daemon ran is not served, and the log
// says what became of it.
func TestWhatEndedMeanwhile(t *testing.T) {
	t.Parallel()
	const peers = "[A]\nauthname = desk\nsecret = d\naorname = 1, 2\nminimum_expiration = 1\n"
	d := startDaemon(t, "[registrar]\ndisconnect_grace = 1\n", peers+"[B]\nauthname = b\nsecret = b\naorname = 3\n")
	brief, other := deskClient(d, "udp", "1"), newClient("udp", d.udp.String(), "b", "b", "3")
	stream := deskClient(d, "tcp", "2")
	other.mustAnswer(t, 200, "Contact: <sip:3@127.0.0.1>;expires=600")
	stream.mustAnswer(t, 200, "Contact: <sip:2@192.168.7.7;transport=tcp>;expires=600") // behind a NAT
	brief.mustAnswer(t, 200, "Contact: <sip:1@127.0.0.1>;expires=4")
	registered := time.Now()
	for _, c := range []*client{brief, other, stream} {
		c.close()
	}
	d.kill(t)
	if strings.Contains(d.output.String(), `"event":"expired"`) {
		t.Fatal("the binding expired before the daemon was killed")
	}
	d.writePeers(t, peers)
	time.Sleep(time.Until(registered.Add(4 * time.Second)))
	d = d.again(t)
	d.waitLog(t, `"event":"expired"`)
	d.waitLog(t, `"reason":"peer_changed"`)
	d.wait(t, "the binding of a connection that is gone", func(log string) bool {
		for line := range strings.Lines(log) {
			if strings.Contains(line, `"event":"removed"`) && strings.Contains(line, `"reason":"stream_gone"`) {
				return true
			}
		}
		return false // it may be unreachable before
	})
	if isBound(t, d, "1") || isBound(t, d, "2") {
		t.Error("what has ended is served")
	}
	if text, _ := d.tool(t, "", "--export"); text != "" {
		t.Errorf("left on disk:\n%s", text)
	}
}

func TestExportAndImport(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, "", diskPeers)
	var running sync.WaitGroup
	for i := range 20 {
		running.Go(func() {
			c := deskClient(d, "udp", fmt.Sprint(i))
			defer c.close()
			line := fmt.Sprintf(`Contact: <sip:%d@[2001:db8::%d]:5070;ob>;q=0.5;+sip.instance="<urn:uuid:%d>";expires=900`, i, i, i)
			if answer, _, err := c.register(line); err != nil || answer.status != 200 {
				t.Errorf("%v, %v", answer, err)
			}
		})
	}
	running.Wait()
	exported, status := d.tool(t, "", "--export")
	if status != 0 || strings.Count(exported, "\n") != 20 {
		t.Fatalf("export while the daemon runs: status %d\n%s", status, exported)
	}
	if text, status := d.tool(t, exported, "--import"); status != 1 || !strings.Contains(text, "another sipregd") {
		t.Errorf("import while the daemon runs: status %d, %s", status, text)
	}
	next := prepareDaemon(t, "", diskPeers)
	first := strings.SplitAfter(exported, "\n")[0]
	for name, row := range map[string]struct{ line, cause string }{
		"no JSON":      {"hello", "invalid character"},
		"no Contact":   {`{"aorname":"1"}`, "contact"},
		"no URI":       {strings.Replace(first, `"contact":"sip:`, `"contact":"<`, 1), "contact"},
		"no time":      {strings.Replace(first, `"expires":"2`, `"expires":"x`, 1), "parsing time"},
		"two bindings": {strings.TrimSpace(first) + first, "more than one"},
		"cut short":    {first[:len(first)/2], "unexpected"},
	} {
		text, status := next.tool(t, exported+row.line+"\n", "--import")
		if status != 1 || !strings.Contains(text, "line 21: ") || !strings.Contains(text, row.cause) {
			t.Errorf("%s: status %d, %s", name, status, text)
		}
	}
	if text, _ := next.tool(t, "", "--export"); strings.Contains(text, "aorname") {
		t.Errorf("something was imported:\n%s", text)
	}
	later := strings.ReplaceAll(exported, `{"aorname"`, `{"known_later":true,"aorname"`)
	for range 2 { // the second time changes nothing
		if text, status := next.tool(t, later, "--import"); status != 0 || !strings.HasPrefix(text, "20 bindings imported") {
			t.Fatalf("status %d, %s", status, text)
		}
	}
	again, _ := next.tool(t, "", "--export")
	if sortedLines(again) != sortedLines(exported) {
		t.Errorf("exported\n%s\nimported\n%s", exported, again)
	}
	next.run(t)
	if !isBound(t, next, "7") {
		t.Error("what was imported is not served")
	}
}

func sortedLines(text string) string {
	lines := strings.SplitAfter(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "")
}
