package main

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// names are the three names of a peer and what proves them.
type names struct {
	authname, secret, aor string
}

// peersOfSipregd have three names that differ.
func peersOfSipregd(count int) []names {
	peers := make([]names, count)
	for i := range peers {
		n := strconv.Itoa(i)
		peers[i] = names{authname: "a" + n, secret: "s" + n, aor: "1" + n}
	}
	return peers
}

// peersOfKamailio have one name for all: its sample configuration wants that,
// and the secret follows from it.
func peersOfKamailio(count int) []names {
	peers := make([]names, count)
	for i := range peers {
		n := "1" + strconv.Itoa(i)
		peers[i] = names{authname: n, secret: "s" + n, aor: n}
	}
	return peers
}

// writePeers writes a peers.conf.
func writePeers(out io.Writer, peers []names) error {
	for i, n := range peers {
		_, err := fmt.Fprintf(out, "[label %d]\nauthname = %s\nsecret = %s\naorname = %s\n", i, n.authname, n.secret, n.aor)
		if err != nil {
			return err
		}
	}
	return nil
}

// readPeers reads what writePeers writes, and no more of peers.conf than that.
func readPeers(in io.Reader) ([]names, error) {
	var peers []names
	lines := bufio.NewScanner(in)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "[") {
			peers = append(peers, names{})
			continue
		}
		if line == "" || line[0] == ';' || line[0] == '#' {
			continue
		}
		if len(peers) == 0 || !peers[len(peers)-1].set(line) {
			return nil, fmt.Errorf("%d: %q is no authname, secret or aorname of a section", number, line)
		}
	}
	for i, n := range peers {
		if n.authname == "" || n.secret == "" || n.aor == "" {
			return nil, fmt.Errorf("section %d lacks an authname, a secret or an aorname", i+1)
		}
	}
	return peers, lines.Err()
}

// set takes one line of a section. It returns false where it knows no such key.
func (n *names) set(line string) bool {
	key, value, _ := strings.Cut(line, "=")
	value = strings.TrimSpace(value)
	switch strings.TrimSpace(key) {
	case "authname":
		n.authname = value
	case "secret":
		n.secret = value
	case "aorname":
		n.aor = value
	default:
		return false
	}
	return true
}
