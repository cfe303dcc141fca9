package main

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// cores are the server's and the generator's, so that neither takes from the
// other.
type cores struct{ server, generator int }

// separateCores picks the first and the last core that this process may use:
// on many machines neighbours are threads of one core.
func separateCores() (cores, error) {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return cores{}, err
	}
	if allowed.Count() < 2 {
		return cores{}, errors.New("there is but one core")
	}
	c := cores{server: -1}
	for core, seen := 0, 0; seen < allowed.Count(); core++ {
		if !allowed.IsSet(core) {
			continue
		}
		if c.server < 0 {
			c.server = core
		}
		c.generator = core
		seen++
	}
	return c, nil
}

// startOn starts a process on a core, which all its threads inherit.
func startOn(core int, command *exec.Cmd) error {
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
	return errors.Join(err, unix.SchedSetaffinity(0, &before))
}

// moveTo puts all threads of this process on a core. Those to come inherit it.
func moveTo(core int) error {
	var wanted unix.CPUSet
	wanted.Set(core)
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
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
