package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// allowedCalls is the variable by which a test has this program run another one that may
// do these system calls, numbers with commas, and dies of any other.
const allowedCalls = "SIPREGD_TEST_CALLS"

// runFiltered runs the rest of the command line so.
func runFiltered(calls string) {
	runtime.LockOSThread() // a filter is of a thread, and exec goes on with this one
	err := filterCalls(calls)
	if err == nil {
		os.Unsetenv(allowedCalls)
		err = syscall.Exec(os.Args[1], os.Args[1:], os.Environ())
	}
	fmt.Fprintln(os.Stderr, "no filter of system calls:", err)
	os.Exit(1)
}

// filterCalls loads a filter (seccomp(2)): a test of the number for each call.
func filterCalls(calls string) error {
	architecture := map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}[runtime.GOARCH]
	const number, arch = 0, 4 // where they are in struct seccomp_data
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	skipUnless := func(value uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: value}
	}
	end := func(action uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action}
	}
	filter := []unix.SockFilter{load(arch), {Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 1, K: architecture},
		end(unix.SECCOMP_RET_KILL_PROCESS), load(number)}
	for text := range strings.SplitSeq(calls, ",") {
		call, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return err
		}
		filter = append(filter, skipUnless(uint32(call)), end(unix.SECCOMP_RET_ALLOW))
	}
	filter = append(filter, end(unix.SECCOMP_RET_KILL_PROCESS))
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
}

// callsOfTheUnit returns the numbers of the system calls that sipregd.service allows.
func callsOfTheUnit(t *testing.T) string {
	t.Helper()
	unit, err := os.ReadFile("../../configs/sipregd.service")
	if err != nil {
		t.Fatal(err)
	}
	sets, allowed := callSets(t), map[string]bool{}
	var take func(name string, allow bool)
	take = func(name string, allow bool) {
		if members, isSet := sets[name]; isSet {
			for _, member := range members {
				take(member, allow)
			}
			return
		}
		if strings.HasPrefix(name, "@") {
			t.Fatalf("systemd knows no set %s", name)
		}
		allowed[name] = allow
	}
	for _, line := range regexp.MustCompile(`(?m)^SystemCallFilter=(~?)(.*)$`).FindAllStringSubmatch(string(unit), -1) {
		for _, name := range strings.Fields(line[2]) {
			take(name, line[1] == "")
		}
	}
	numbers := callNumbers(t)
	var calls []string
	for name, allow := range allowed {
		if number, has := numbers[name]; allow && has { // not each machine has each
			calls = append(calls, number)
		}
	}
	if len(calls) < 150 {
		t.Fatalf("the unit allows %d system calls", len(calls))
	}
	return strings.Join(calls, ",")
}

// callSets returns systemd's sets of system calls, whose members may be sets.
func callSets(t *testing.T) map[string][]string {
	t.Helper()
	text, err := exec.Command("systemd-analyze", "syscall-filter").Output()
	if err != nil {
		skip(t, "systemd-analyze did not run (apt-get install systemd): %v", err)
	}
	sets, set := map[string][]string{}, ""
	for line := range strings.Lines(string(text)) {
		switch name := strings.TrimSpace(line); {
		case name == "" || strings.HasPrefix(name, "#"):
		case strings.HasPrefix(line, "@"):
			set = name
		default:
			sets[set] = append(sets[set], name)
		}
	}
	return sets
}

// callNumbers returns the numbers of the system calls of this machine's kind, from the
// source of golang.org/x/sys.
func callNumbers(t *testing.T) map[string]string {
	t.Helper()
	directory, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/sys").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(directory)), "unix", "zsysnum_linux_"+runtime.GOARCH+".go"))
	if err != nil {
		t.Fatal(err)
	}
	numbers := map[string]string{}
	for _, call := range regexp.MustCompile(`SYS_(\w+)\s+= (\d+)`).FindAllStringSubmatch(string(text), -1) {
		numbers[strings.ToLower(call[1])] = call[2]
	}
	return numbers
}

// buildAsInstalled builds the daemon as make does: what the race detector and cgo do is
// not what runs in the unit.
func buildAsInstalled(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sipregd")
	build := exec.Command("go", "build", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return path
}

// Whatever phones and the administrator do, the daemon tries no system call that its unit
// does not allow: here it dies of one, where systemd has it fail. That systemd's own
// filter is on, beside the rest of the unit, is for make package-test.
func TestTheUnitAllowsAllSystemCalls(t *testing.T) {
	calls := callsOfTheUnit(t)
	forbidden := exec.Command(os.Args[0], "/usr/sbin/chroot", "/", "/bin/true")
	forbidden.Env = append(os.Environ(), allowedCalls+"="+calls)
	text, _ := forbidden.CombinedOutput()
	if status, ok := forbidden.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGSYS {
		t.Fatalf("chroot ends with %v under the filter\n%s", forbidden.ProcessState, text)
	}

	a := newAuthority(t)
	d := prepareSecureDaemon(t, a, impatient+fmt.Sprintf("[admin]\nsocket = sipregd.sock\nhttp = 127.0.0.1:%d\nwebhook = http://127.0.0.1:%d/\n",
		freePort(t), freePort(t)), phonePeers)
	d.under, d.environment = []string{os.Args[0], buildAsInstalled(t)}, []string{allowedCalls + "=" + calls}
	d.run(t)
	phones := []*client{
		newClient("udp", d.udp.String(), "b41d77", "correct-horse", "2001"),
		newClient("tcp", d.tcp.String(), "b41d77", "correct-horse", "2001"),
		d.certifiedClient(t, "tls", a.phoneTLS(t, ""), "b41d77", "correct-horse", "2001"),
		d.certifiedClient(t, "wss", a.phoneTLS(t, ""), "b41d77", "correct-horse", "2001"),
	}
	for i, phone := range phones {
		defer phone.close()
		if answer, _, err := phone.register(fmt.Sprintf("Contact: <sip:2001@10.1.2.3:%d>", 6000+i)); err != nil || answer.status != 200 {
			t.Fatalf("%s: got %+v, %v", phone.network, answer, err)
		}
	}
	d.waitLog(t, `"event":"unreachable"`)
	d.reload(t, `"event":"reloaded"`)
	for _, path := range []string{"/", "/metrics", "/api/v1/stats", "/api/v1/contacts", "/api/v1/why?q=2001"} {
		answer, err := d.administrator().Get("http://sipregd" + path)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, answer.Status)
		}
	}
	again := d.restart(t)
	if n := len(again.bindings(t)); n != len(phones) {
		t.Errorf("%d bindings are there after a restart, want %d", n, len(phones))
	}
}
