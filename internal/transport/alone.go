package transport

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// The readers of one process share its UDP address (SO_REUSEPORT), and so the kernel lets
// any process of the same account take its part of what comes. A server that shares with
// nobody says so by a socket of a name that others can look for. It is an abstract one
// (unix(7)): it belongs to the network namespace, as ports do, and is gone with its process.

var errAlone = errors.New("another sipregd has it for itself")

// stayAlone has others see that a UDP address is not shared. That is a help and no need:
// where a stranger has the name already, nothing is lost but that.
func (s *Server) stayAlone(local netip.AddrPort) {
	if claim, err := net.Listen("unix", claimOf("udp "+local.String())); err == nil {
		s.claims = append(s.claims, claim)
	}
}

// anybodyAlone fails where a process of this account has a UDP address for itself, or all
// addresses of its family.
func anybodyAlone(network, address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	for _, at := range []string{address, ":" + port} {
		if isClaimed(claimOf(nameOn(network, at))) {
			return errAlone
		}
	}
	return nil
}

const (
	// askerPause is how long nobody is taken who looks for a claim after that has failed,
	// and how long he waits until he looks again where too many do.
	askerPause = 100 * time.Millisecond

	askerTries = 20
)

// takeAskers takes those who look for a claim, who would fill its queue else, until it is
// closed.
func takeAskers(claim net.Listener) {
	for {
		switch asker, err := claim.Accept(); {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // short of files
			time.Sleep(askerPause)
		default:
			asker.Close()
		}
	}
}

// claimOf returns what the socket is named for an address such as "udp 127.0.0.1:5060".
func claimOf(address string) string { return "@sipregd alone at " + address }

// isClaimed tells whether a process of this account has that name: the kernel refuses to
// share with one of another account, whatever a stranger says.
func isClaimed(name string) bool {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	for range askerTries { // others may look for it at the same time
		if err = unix.Connect(fd, &unix.SockaddrUnix{Name: name}); err != unix.EAGAIN {
			break
		}
		time.Sleep(askerPause)
	}
	if err != nil {
		return false
	}
	owner, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	return err == nil && int(owner.Uid) == os.Geteuid()
}
