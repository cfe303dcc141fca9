package shared

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what has to happen.
const patience = 20 * time.Second

// skip leaves a test out for what this machine lacks. In CI that is a failure.
func skip(t testing.TB, format string, values ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf(format, values...)
	}
	t.Skipf("SKIPPED: "+format, values...)
}

// server is a redis-server of this machine's.
type server struct {
	t         testing.TB
	port      int
	directory string
	arguments []string
	command   *exec.Cmd
	ended     chan struct{}
}

// startServer starts a redis-server on a free port, with nothing on disk unless the
// arguments say otherwise.
func startServer(t testing.TB, arguments ...string) *server {
	t.Helper()
	s := &server{t: t, port: freePort(t), directory: t.TempDir(), arguments: arguments}
	s.start()
	t.Cleanup(s.kill)
	return s
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (s *server) start() {
	s.t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		skip(s.t, "redis-server is not there (apt-get install redis-server)")
	}
	arguments := append([]string{
		"--port", fmt.Sprint(s.port), "--bind", "127.0.0.1", "--dir", s.directory, "--logfile", filepath.Join(s.directory, "log"),
		"--save", "", "--appendonly", "no",
	}, s.arguments...)
	s.run(path, arguments)
	s.wait("+PONG")
}

func (s *server) run(path string, arguments []string) {
	s.t.Helper()
	s.command = exec.Command(path, arguments...)
	s.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.command.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan struct{})
	s.ended = ended
	go func(c *exec.Cmd) {
		_ = c.Wait()
		close(ended)
	}(s.command)
}

// wait waits until the server answers a PING like that.
func (s *server) wait(want string) {
	s.t.Helper()
	eventually(s.t, "redis-server answers", func() bool {
		answer := s.say("PING")
		return strings.HasPrefix(answer, want) || strings.HasPrefix(answer, "-NOAUTH")
	})
}

// say sends a line and returns the first line of the answer.
func (s *server) say(line string) string {
	c, err := net.DialTimeout("tcp", s.address(), time.Second)
	if err != nil {
		return ""
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprintf(c, "%s\r\n", line)
	answer, _ := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(answer)
}

func (s *server) address() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

func (s *server) url() string { return "redis://" + s.address() + "/0" }

func (s *server) signal(signal os.Signal) { _ = s.command.Process.Signal(signal) }

func (s *server) kill() {
	s.signal(syscall.SIGKILL)
	<-s.ended
}

// cli runs redis-cli against the server and returns what it prints.
func (s *server) cli(arguments ...string) string {
	s.t.Helper()
	out, err := exec.Command("redis-cli", append([]string{"-p", fmt.Sprint(s.port)}, arguments...)...).CombinedOutput()
	if err != nil || strings.HasPrefix(string(out), "ERR") {
		s.t.Fatalf("redis-cli %q: %v: %s", arguments, err, out)
	}
	return strings.TrimSpace(string(out))
}

// said returns what redis-cli prints, whatever it is: a server that changes its part in
// things ends connections.
func (s *server) said(arguments ...string) string {
	out, _ := exec.Command("redis-cli", append([]string{"-p", fmt.Sprint(s.port)}, arguments...)...).CombinedOutput()
	return string(out)
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// slowly returns the URL of a server by a way that takes as long for each answer.
func (s *server) slowly(delay time.Duration) string {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", s.address())
			if err != nil {
				_ = from.Close()
				continue
			}
			go relay(to, from, 0)
			go relay(from, to, delay)
		}
	}()
	return "redis://" + l.Addr().String() + "/0"
}

// relay hands on what comes, each piece that much later, until one side ends.
func relay(to, from net.Conn, delay time.Duration) {
	type piece struct {
		at   time.Time
		data []byte
	}
	pieces := make(chan piece, 1<<16)
	go func() {
		defer to.Close()
		for p := range pieces {
			time.Sleep(time.Until(p.at))
			if _, err := to.Write(p.data); err != nil {
				return
			}
		}
	}()
	defer close(pieces)
	for {
		data := make([]byte, 1<<14)
		n, err := from.Read(data)
		if err != nil {
			return
		}
		pieces <- piece{time.Now().Add(delay), data[:n]}
	}
}

// watcher is an observer that keeps what it is told.
type watcher struct {
	mu         sync.Mutex
	notDurable []error
	durable    int
	trouble    []error
	secrets    []error
}

func (w *watcher) NotDurable(cause error, _ int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notDurable = append(w.notDurable, cause)
}

func (w *watcher) Durable(time.Duration, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.durable++
}

func (w *watcher) Committed(time.Duration, int) {}

func (w *watcher) Trouble(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trouble = append(w.trouble, err)
}

func (w *watcher) SecretTrouble(key string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.secrets = append(w.secrets, fmt.Errorf("%s: %w", key, err))
}

func (w *watcher) seen() (notDurable []error, durable int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]error(nil), w.notDurable...), w.durable
}

// calm is a time-out that a busy machine keeps.
const calm = 5 * time.Second

// open opens a store of a node that takes Redis to be away after a long time alone.
func open(t testing.TB, url, node string) (*Store, *watcher) {
	t.Helper()
	return openWith(t, Options{URL: url, Node: node, Timeout: calm})
}

// openBrief opens a store as nodes have it.
func openBrief(t testing.TB, url, node string) (*Store, *watcher) {
	t.Helper()
	return openWith(t, Options{URL: url, Node: node})
}

func openWith(t testing.TB, options Options) (*Store, *watcher) {
	t.Helper()
	w := &watcher{}
	options.Observer = w
	s, err := Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, w
}
