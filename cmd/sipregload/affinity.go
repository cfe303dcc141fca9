package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// The server has one core and the generator another, so that neither takes
// from the other.
const (
	serverCore    = 0
	generatorCore = 1
)

// startOnCore starts a process on a core, which all its threads inherit.
func startOnCore(command *exec.Cmd, core int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, wanted unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	wanted.Set(core)
	if err := unix.SchedSetaffinity(0, &wanted); err != nil {
		return err
	}
	err := command.Start()
	if restored := unix.SchedSetaffinity(0, &before); err == nil {
		err = restored
	}
	return err
}

// moveToCore puts all threads of this process on a core. Those to come inherit it.
func moveToCore(core int) error {
	var wanted unix.CPUSet
	wanted.Set(core)
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, thread := range threads {
		id, err := strconv.Atoi(filepath.Base(thread.Name()))
		if err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(id, &wanted); err != nil && err != unix.ESRCH {
			return err
		}
	}
	runtime.GOMAXPROCS(1)
	return nil
}
