package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// redisServer is a redis-server that a test runs, on a free port of its own.
type redisServer struct {
	port      int
	directory string
	arguments []string
	command   *exec.Cmd
	output    output
}

// startRedis runs one until the test ends, with those settings. What it has said is done
// is on disk.
func startRedis(t *testing.T, settings ...string) *redisServer {
	t.Helper()
	r := &redisServer{port: freePort(t), directory: t.TempDir()}
	r.arguments = append([]string{"--port", fmt.Sprint(r.port), "--bind", "127.0.0.1", "--dir", r.directory,
		"--appendonly", "yes", "--appendfsync", "always", "--save", "", "--loglevel", "notice"}, settings...)
	r.run(t)
	return r
}

func (r *redisServer) run(t *testing.T) {
	t.Helper()
	requireProgram(t, "redis-server", "redis-server")
	r.command = exec.Command("redis-server", r.arguments...)
	r.command.Stdout, r.command.Stderr = &r.output, &r.output
	if err := r.command.Start(); err != nil {
		t.Fatal(err)
	}
	command := r.command
	t.Cleanup(func() {
		if command.ProcessState == nil {
			_ = command.Process.Kill()
			_ = command.Wait()
		}
	})
	r.await(t, "PING", "PONG")
}

// address returns the URL of it.
func (r *redisServer) url() string { return fmt.Sprintf("redis://127.0.0.1:%d/0", r.port) }

// ask sends a command and returns the first line of the answer, or of what it holds.
func (r *redisServer) ask(command string) string {
	conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", r.port), time.Second)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	fmt.Fprintf(conn, "%s\r\n", command)
	reader := bufio.NewReader(conn)
	line, err := reader.ReadString('\n')
	if strings.HasPrefix(line, "$") && err == nil {
		var length int
		if _, err = fmt.Sscanf(line, "$%d", &length); err == nil && length > 0 {
			text := make([]byte, length)
			if _, err = readFull(reader, text); err == nil {
				return string(text)
			}
		}
	}
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(line)
}

func readFull(reader *bufio.Reader, into []byte) (n int, err error) {
	for n < len(into) && err == nil {
		var more int
		more, err = reader.Read(into[n:])
		n += more
	}
	return n, err
}

// await waits until an answer holds a text.
func (r *redisServer) await(t *testing.T, command, text string) {
	t.Helper()
	var answer string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if answer = r.ask(command); strings.Contains(answer, text) {
			return
		}
	}
	t.Fatalf("redis-server answers %q to %s, and printed:\n%s", answer, command, r.output.String())
}

// kill ends it as a power switch does.
func (r *redisServer) kill(t *testing.T) {
	t.Helper()
	if err := r.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = r.command.Wait() // by a signal, which is an error
}

// pause and resume stop it for a while.
func (r *redisServer) pause(t *testing.T)  { r.signal(t, syscall.SIGSTOP) }
func (r *redisServer) resume(t *testing.T) { r.signal(t, syscall.SIGCONT) }

func (r *redisServer) signal(t *testing.T, signal os.Signal) {
	t.Helper()
	if err := r.command.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

// startSentinel runs a Sentinel that watches a server as "phones" and gives it up soon.
func startSentinel(t *testing.T, master *redisServer, quorum int) *redisServer {
	t.Helper()
	s := &redisServer{port: freePort(t), directory: t.TempDir()}
	path := filepath.Join(s.directory, "sentinel.conf")
	writeFile(t, path, fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\nsentinel monitor phones 127.0.0.1 %d %d\n"+
		"sentinel down-after-milliseconds phones 500\nsentinel failover-timeout phones 2000\n", s.port, s.directory, master.port, quorum))
	s.arguments = []string{path, "--sentinel"}
	s.run(t)
	return s
}

// What stands in the place of a secret is none: the administrator is told, and a node takes
// the one that comes instead.
func TestAnUnusableSecretIsTold(t *testing.T) {
	r := startRedis(t)
	r.await(t, "SET k:nonce nonsense", "OK")
	d := startNodes(t, 1, r.url(), "")[0]
	d.waitLog(t, `"event":"secret_unusable"`)
	d.waitLog(t, "redis-cli DEL k:nonce")
	r.await(t, "DEL k:nonce", "1")
	for deadline := time.Now().Add(patience); len(r.ask("GET k:nonce")) != 64; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("k:nonce is %q", r.ask("GET k:nonce"))
		}
	}
	// While it runs somebody changes it.
	own := r.ask("GET k:nonce")
	r.await(t, "SET k:nonce "+strings.Repeat("00", 32), "OK")
	d.waitLog(t, `"event":"secret_changed","key":"k:nonce"`)
	r.await(t, "SET k:nonce nonsense", "OK")
	d.waitLog(t, "this node goes on with the secret that it has")
	r.await(t, "DEL k:nonce", "1")
	r.await(t, "GET k:nonce", own)
}
