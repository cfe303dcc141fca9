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
	aor, authname, secret, label string
}

// peersOfSipregd have three names that differ.
func peersOfSipregd(count int) []names {
	peers := make([]names, count)
	for i := range peers {
		peers[i] = peerOfSipregd(i)
	}
	return peers
}

func peerOfSipregd(i int) names { return together("1", "a", "s", "label ", strconv.Itoa(i)) }

// together makes names of what each begins with and how all end. They stand in
// one piece of memory: with a million of them that is half the work.
func together(aor, authname, secret, label, end string) names {
	all := aor + end + authname + end + secret + end + label + end
	next := func(start string) (name string) {
		name, all = all[:len(start)+len(end)], all[len(start)+len(end):]
		return name
	}
	return names{aor: next(aor), authname: next(authname), secret: next(secret), label: next(label)}
}

// scattered are the same as peersOfSipregd in another order, so that those who
// register one after the other stand far apart in a store that keeps order.
func scattered(count int) []names {
	const step = 7_368_787 // a prime, so that each is met once where there are fewer
	peers := make([]names, count)
	for i := range peers {
		peers[i] = peerOfSipregd(i * step % count)
	}
	return peers
}

// peersOfKamailio have one name for all: its sample configuration wants that,
// and the secret follows from it.
func peersOfKamailio(count int) []names {
	peers := make([]names, count)
	for i := range peers {
		n := "1" + strconv.Itoa(i)
		peers[i] = names{label: n, authname: n, secret: "s" + n, aor: n}
	}
	return peers
}

// shared lets so many that follow each other belong to one peer, with an AOR
// each.
func shared(peers []names, sharing int) []names {
	for i := range peers {
		owner := &peers[i-i%sharing]
		peers[i].label, peers[i].authname, peers[i].secret = owner.label, owner.authname, owner.secret
	}
	return peers
}

// writePeers writes a peers.conf.
func writePeers(out io.Writer, peers []names) error {
	w := bufio.NewWriter(out)
	for i, n := range peers {
		if i > 0 && n.authname == peers[i-1].authname {
			fmt.Fprintf(w, ", %s", n.aor)
			continue
		}
		fmt.Fprintf(w, "\n[%s]\nauthname = %s\nsecret = %s\naorname = %s", n.label, n.authname, n.secret, n.aor)
	}
	fmt.Fprintln(w)
	return w.Flush()
}

// readPeers reads what writePeers writes, and no more of peers.conf than that.
func readPeers(in io.Reader) ([]names, error) {
	var peers []names
	lines := bufio.NewScanner(in)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "[") {
			peers = append(peers, names{label: strings.Trim(line, "[]")})
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
