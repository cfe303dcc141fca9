package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// family is a process and those that it has forked.
type family []int

func familyOf(pid int) family {
	f := family{pid}
	entries, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, entry := range entries {
		if child, parent := childAndParent(entry); parent == pid {
			f = append(f, child)
		}
	}
	return f
}

// childAndParent reads /proc/PID/stat; the process may be gone by then.
func childAndParent(path string) (child, parent int) {
	text, _ := os.ReadFile(path)
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 2 {
		return 0, 0
	}
	child, _ = strconv.Atoi(filepath.Base(filepath.Dir(path)))
	parent, _ = strconv.Atoi(fields[1])
	return child, parent
}

// processorTime is what all threads have used so far, those that ended too.
func (f family) processorTime() (time.Duration, error) {
	var sum time.Duration
	for _, pid := range f {
		const processClock = 2 // CPUCLOCK_SCHED of a process: clock_getcpuclockid(3)
		var used unix.Timespec
		if err := unix.ClockGettime(int32(^pid<<3|processClock), &used); err != nil {
			return 0, fmt.Errorf("process %d is gone or may not be measured: %w", pid, err)
		}
		sum += time.Duration(used.Nano())
	}
	return sum, nil
}

// resident returns the bytes kept in memory. A page that n processes share
// counts an nth for each of them.
func (f family) resident() (int64, error) {
	var sum int64
	for _, pid := range f {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return 0, err
		}
		part, err := kilobytes(string(text), "Pss")
		if err != nil {
			return 0, fmt.Errorf("smaps_rollup of process %d: %w", pid, err)
		}
		sum += part
	}
	return sum, nil
}

// memory is what /proc/PID/status says of a process, in bytes.
type memory struct{ resident, peak int64 }

func memoryOf(pid int) (memory, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return memory{}, err
	}
	var m memory
	for name, value := range map[string]*int64{"VmRSS": &m.resident, "VmHWM": &m.peak} {
		if *value, err = kilobytes(string(text), name); err != nil {
			return memory{}, fmt.Errorf("status of process %d: %w", pid, err)
		}
	}
	return m, nil
}

// forgetPeak has VmHWM begin anew (proc(5), clear_refs).
func forgetPeak(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}

// kilobytes reads a line such as "VmRSS:  123 kB" and returns bytes.
func kilobytes(text, name string) (int64, error) {
	_, rest, _ := strings.Cut("\n"+text, "\n"+name+":")
	line, _, _ := strings.Cut(rest, "\n")
	value, _ := strings.CutSuffix(line, " kB")
	n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return n * 1024, nil
}
