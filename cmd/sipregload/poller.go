package main

import (
	"errors"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// poller waits for many wires at once.
type poller struct {
	descriptor int
	events     [256]unix.EpollEvent
	room       []byte // for what a stream reads, which all of them share
}

func newPoller() (*poller, error) {
	descriptor, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &poller{descriptor: descriptor, room: make([]byte, 256<<10)}, nil
}

func (p *poller) add(descriptor, number int) error {
	return unix.EpollCtl(p.descriptor, unix.EPOLL_CTL_ADD, descriptor, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(number)})
}

// wait returns the wires that something has come for, before long.
// epoll_wait(2) would count in milliseconds.
func (p *poller) wait(atMost time.Duration) ([]unix.EpollEvent, error) {
	limit := unix.NsecToTimespec(int64(max(0, atMost)))
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.descriptor), uintptr(unsafe.Pointer(&p.events)),
		uintptr(len(p.events)), uintptr(unsafe.Pointer(&limit)), 0, 0)
	switch {
	case errno == unix.EINTR:
		return nil, nil
	case errno == unix.ENOSYS:
		return nil, errors.New("sipregload needs epoll_pwait2(2): Linux 5.11 or later")
	case errno != 0:
		return nil, errno
	}
	return p.events[:n], nil
}

func (p *poller) close() { _ = unix.Close(p.descriptor) }
