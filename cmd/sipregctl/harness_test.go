package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sipregd/internal/race"
)

// patience is how long a test waits for what has to happen.
const patience = 15 * time.Second

// TestMain lets scripts run sipregctl, which is the binary of the tests itself.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sipregctl": main})
}

// TestScripts runs the manual: testdata/script/*.txtar.
func TestScripts(t *testing.T) {
	binary := buildDaemon(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"sipregd": func(script *testscript.TestScript, neg bool, arguments []string) {
				startDaemon(t, script, binary, neg, arguments)
			},
			"log":    waitLog,
			"until":  waitFile,
			"status": runWithStatus,
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// runWithStatus is the command "status N COMMAND ..." of the scripts: exec with
// the exit status that it has to have.
func runWithStatus(script *testscript.TestScript, neg bool, arguments []string) {
	if neg || len(arguments) < 2 {
		script.Fatalf("usage: status N COMMAND ...")
	}
	var exit *exec.ExitError
	err := script.Exec(arguments[1], arguments[2:]...)
	if errors.As(err, &exit) && fmt.Sprint(exit.ExitCode()) == arguments[0] {
		return
	}
	script.Fatalf("want exit status %s, got %v", arguments[0], err)
}

// buildDaemon builds sipregd once, with the race detector where the tests have
// it.
func buildDaemon(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "sipregd")
	arguments := []string{"build", "-o", binary}
	if race.Enabled() {
		arguments = append(arguments, "-race")
	}
	if text, err := exec.Command("go", append(arguments, "../sipregd")...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return binary
}

// startDaemon is the command "sipregd [CONF]" of the scripts: it runs a daemon
// with the peers.conf of the script and the configuration CONF, sipregd.conf if
// none is given, on a free port of 127.0.0.1 until the script ends. CONF has no
// [listen], and may have no [location] (it is memory) and no socket in [admin]
// (it is $WORK/sipregd.sock). The port is in $PORT, 127.0.0.1 with it in $SERVER and in
// $UDP and $TCP, the socket in $SOCKET, and what the daemon prints in sipregd.log, which the command
// log waits for.
func startDaemon(t *testing.T, script *testscript.TestScript, binary string, neg bool, arguments []string) {
	if neg || len(arguments) > 1 {
		script.Fatalf("usage: sipregd [CONF]")
	}
	configuration := ""
	if name := append(arguments, "sipregd.conf")[0]; len(arguments) > 0 || exists(script.MkAbs(name)) {
		configuration = script.ReadFile(name)
	}
	address := freeAddress(script)
	_, port, _ := net.SplitHostPort(address)
	socket := script.MkAbs("sipregd.sock")
	path := script.MkAbs("listening.conf")
	script.Check(os.WriteFile(path, []byte(completed(configuration, address, socket)), 0o600))
	script.Check(os.Chmod(script.MkAbs("peers.conf"), 0o600))
	runDaemon(t, script, binary, path)
	for name, value := range map[string]string{"SERVER": address, "UDP": address, "TCP": address, "PORT": port, "SOCKET": socket} {
		script.Setenv(name, value)
	}
}

// completed adds to a configuration what a daemon of the tests needs.
func completed(configuration, address, socket string) string {
	listen := fmt.Sprintf("[listen]\nudp = %s\ntcp = %[1]s\n", address)
	if !strings.Contains(configuration, "[location]") {
		configuration += "\n[location]\nstore = memory\n"
	}
	if !strings.Contains(configuration, "[admin]") {
		configuration += "\n[admin]\n"
	}
	if !strings.Contains(configuration, "socket =") {
		configuration = strings.Replace(configuration, "[admin]\n", "[admin]\nsocket = "+socket+"\n", 1)
	}
	return listen + configuration
}

// runDaemon starts a daemon and ends it after the script.
func runDaemon(t *testing.T, script *testscript.TestScript, binary, configuration string) {
	path := script.MkAbs("sipregd.log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	script.Check(err)
	defer log.Close()
	command := exec.Command(binary, "--config", configuration)
	command.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	command.Stdout, command.Stderr = log, log
	script.Check(command.Start())
	script.Defer(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(patience, func() { _ = command.Process.Kill() })
		defer kill.Stop()
		err := command.Wait()
		if printed, _ := os.ReadFile(path); err != nil || strings.Contains(string(printed), "DATA RACE") {
			t.Errorf("%s: sipregd ended with %v:\n%s", script.Name(), err, printed)
		}
	})
	waitLog(script, false, []string{`"message":"started"`})
}

// waitLog is the command "log PATTERN" of the scripts: it waits until a line of
// the daemon's log matches.
func waitLog(script *testscript.TestScript, neg bool, arguments []string) {
	if neg || len(arguments) != 1 {
		script.Fatalf("usage: log PATTERN")
	}
	waitFile(script, neg, []string{"sipregd.log", arguments[0]})
}

// waitFile is the command "until FILE PATTERN" of the scripts: it waits until a line
// of the file matches.
func waitFile(script *testscript.TestScript, neg bool, arguments []string) {
	if neg || len(arguments) != 2 {
		script.Fatalf("usage: until FILE PATTERN")
	}
	pattern, err := regexp.Compile("(?m)" + arguments[1])
	script.Check(err)
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		printed := ""
		if exists(script.MkAbs(arguments[0])) {
			printed = script.ReadFile(arguments[0])
		}
		if pattern.MatchString(printed) {
			return
		}
		if time.Now().After(deadline) {
			script.Fatalf("no %q in %s:\n%s", arguments[1], arguments[0], printed)
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// freeAddress is one of 127.0.0.1 whose port is free for UDP and TCP.
func freeAddress(script *testscript.TestScript) string {
	for range 100 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		script.Check(err)
		address := listener.Addr().String()
		conn, err := net.ListenPacket("udp", address)
		listener.Close()
		if err == nil {
			conn.Close()
			return address
		}
	}
	script.Fatalf("no free port")
	return ""
}
