package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// unreached says why the daemon cannot be asked, and what helps.
func (c *client) unreached(err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the daemon has not answered for %v: systemctl status sipregd tells how it is", longestAnswer)
	case errors.Is(err, context.Canceled):
		return errInterrupted
	case errors.Is(err, syscall.ENOENT):
		return fmt.Errorf("there is no %s: sipregd is not running (systemctl status sipregd), "+
			"or its control socket is elsewhere (--socket PATH)", c.socket)
	case errors.Is(err, syscall.ECONNREFUSED) && !isSocket(c.socket):
		return fmt.Errorf("%s is no socket: say where the control socket of the daemon is (--socket PATH)", c.socket)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nobody listens at %s: sipregd is not running (systemctl status sipregd)", c.socket)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("no permission for %s: %s", c.socket, admission(c.socket, mayWrite))
	}
	var dial *net.OpError
	if errors.As(err, &dial) {
		return fmt.Errorf("the control socket cannot be reached: %w", dial)
	}
	return fmt.Errorf("the daemon has closed the control socket without an answer: %w", err)
}

// isSocket tells whether the file is one, as far as can be seen.
func isSocket(path string) bool {
	file, err := os.Stat(path)
	return err != nil || file.Mode()&fs.ModeSocket != 0
}

// errInterrupted ends a command that somebody has stopped.
var errInterrupted = errors.New("interrupted")

// What a group has to have of a file.
const (
	mayRead  fs.FileMode = 0o040
	mayWrite fs.FileMode = 0o020
	mayEnter fs.FileMode = 0o010
)

// admission says how to come to have the permission for the file: as root, or by
// its group, where the group has it.
func admission(path string, permission fs.FileMode) string {
	file, err := os.Stat(path)
	if errors.Is(err, fs.ErrPermission) { // its directory keeps it hidden
		file, err = os.Stat(filepath.Dir(path))
		permission = mayEnter
	}
	if err != nil || file.Mode()&permission == 0 {
		return "use sudo"
	}
	stat, ok := file.Sys().(*syscall.Stat_t)
	if !ok || stat.Gid == 0 {
		return "use sudo"
	}
	name := strconv.Itoa(int(stat.Gid))
	if group, err := user.LookupGroupId(name); err == nil {
		name = group.Name
	}
	return fmt.Sprintf("use sudo, or let your account join its group: sudo usermod -aG %s NAME, and log in anew", name)
}
