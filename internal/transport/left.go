package transport

import (
	"encoding/binary"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// askWhatIsLeft has the kernel say with all that it gives of a stream how many
// bytes are left. One that cannot (before 4.18) is asked until it has no more.
func askWhatIsLeft(raw syscall.RawConn) {
	_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_INQ, 1) })
}

// receiveStream reads from a stream without waiting. It tells whether there may be
// more, to which its end counts.
func receiveStream(fd uintptr, room []byte) (n int, more bool, err error) {
	var control [unix.SizeofCmsghdr + 8]byte
	vector := unix.Iovec{Base: unsafe.SliceData(room)}
	vector.SetLen(len(room))
	header := unix.Msghdr{Iov: &vector, Control: &control[0]}
	header.SetIovlen(1)
	header.SetControllen(len(control))
	read, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&header)), 0)
	if errno != 0 {
		return 0, false, errno
	}
	return int(read), !isNothingLeft(control[:header.Controllen]), nil
}

// isNothingLeft reads a control message of the kernel.
func isNothingLeft(control []byte) bool {
	if len(control) < unix.SizeofCmsghdr+4 {
		return false
	}
	header := (*unix.Cmsghdr)(unsafe.Pointer(unsafe.SliceData(control)))
	return header.Level == unix.IPPROTO_TCP && header.Type == unix.TCP_CM_INQ &&
		binary.NativeEndian.Uint32(control[unix.SizeofCmsghdr:]) == 0
}
