package transport

import (
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// Where datagrams come at less than closeTogether, on the average, and few at a
	// time, the reader rests for a moment before it takes the next ones: to wake
	// up for each of them costs more than to handle it.
	closeTogether = 50 * time.Microsecond
	few           = 16
	restTime      = 10 * time.Microsecond // and the 50 by which Linux lets timers be late

	// pollGap is how long streams wait at most while a reader never rests.
	pollGap = time.Millisecond
)

// pacing says when a reader of datagrams rests.
type pacing struct {
	taken  time.Time // when the last batch was
	polled time.Time // when others were last let on
	bell   *os.File  // an eventfd
	ring   syscall.RawConn
}

func newPacing() (*pacing, error) {
	descriptor, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	p := &pacing{bell: os.NewFile(uintptr(descriptor), "eventfd")}
	p.ring, err = p.bell.SyscallConn()
	return p, err
}

func (p *pacing) close() { p.bell.Close() }

// comesFast tells whether n datagrams that were taken now, and what came before
// them, are a few of many.
func (p *pacing) comesFast(n int, now time.Time) bool {
	gap := now.Sub(p.taken)
	p.taken = now
	return n < few && gap < time.Duration(n)*closeTogether
}

// rest holds up the processor's other goroutines too, which is too short to matter:
// a timer of Go would take a millisecond.
func rest() {
	span := unix.NsecToTimespec(int64(restTime))
	_, _, _ = unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&span)), 0, 0)
}

// letOthersOn has Go ask the kernel which streams have something to read. It does
// so by itself when nothing else is to be done; without that, each 10 ms. Where
// bindings are saved at the same time the reader then waits for its turn.
func (p *pacing) letOthersOn(now time.Time) {
	if now.Sub(p.polled) < pollGap {
		return
	}
	p.polled = now
	rung := false
	_ = p.ring.Read(func(fd uintptr) bool {
		if rung {
			return true
		}
		rung = true
		_, err := unix.Write(int(fd), []byte{1, 0, 0, 0, 0, 0, 0, 0})
		return err != nil
	})
}
