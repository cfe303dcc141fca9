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
type cores struct {
	server, generator int
	shared            bool // for now both have both
}

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

// separate puts this process on its own core, and servers to come on theirs.
func (c *cores) separate() error {
	c.shared = false
	return moveTo(c.generator)
}

// unite lets this process and servers to come use both cores.
func (c *cores) unite() error {
	c.shared = true
	return moveTo(c.server, c.generator)
}

// start starts a server's process on its core, or on both, which all its
// threads inherit.
func (c *cores) start(command *exec.Cmd) error {
	if c.shared {
		return startOn(command, c.server, c.generator)
	}
	return startOn(command, c.server)
}

// startOn starts a process on cores, which all its threads inherit.
func startOn(command *exec.Cmd, cores ...int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	wanted := setOf(cores...)
	if err := unix.SchedSetaffinity(0, &wanted); err != nil {
		return err
	}
	err := command.Start()
	return errors.Join(err, unix.SchedSetaffinity(0, &before))
}

// moveTo puts all threads of this process on cores. Those to come inherit it.
func moveTo(cores ...int) error {
	wanted := setOf(cores...)
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

func setOf(cores ...int) (set unix.CPUSet) {
	for _, core := range cores {
		set.Set(core)
	}
	return set
}
