package main

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
)

// nodesOfTest are so many, which take down who registered, each at its own.
func nodesOfTest(t *testing.T, count int) (*server, func() []map[string]int) {
	var mu sync.Mutex
	var nodes []*server
	seen := make([]map[string]int, count)
	for i := range seen {
		seen[i] = map[string]int{}
		nodes = append(nodes, registrarOfTest(t, func(request, answer []byte) []byte {
			if bytes.Contains(request, []byte("Authorization:")) {
				_, rest, _ := bytes.Cut(request, []byte("Call-ID: "))
				number, _, _ := bytes.Cut(rest, []byte("@"))
				mu.Lock()
				seen[i][string(number)]++
				mu.Unlock()
			}
			return answer
		}))
	}
	return &server{address: nodes[0].address, peers: nodes[0].peers, nodes: nodes}, func() (now []map[string]int) {
		mu.Lock()
		defer mu.Unlock()
		for _, node := range seen {
			now = append(now, maps.Clone(node))
		}
		return now
	}
}

func TestPhonesStayWithANodeOrMove(t *testing.T) {
	for _, test := range []struct {
		name  string
		nodes int
		moves bool
		want  int // nodes that a phone was at after as many registrations as there are nodes
	}{
		{"one node", 1, true, 1},
		{"two, and they stay", 2, false, 1},
		{"two, and they move", 2, true, 2},
		{"four, and they move", 4, true, 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, seen := nodesOfTest(t, test.nodes)
			f, err := newFleet(s, s.peers, newHost(), overNodes(test.nodes, test.moves))
			if err != nil {
				t.Fatal(err)
			}
			defer f.close()
			for range test.nodes {
				if err := f.run(context.Background(), phase{inFlight: ports, once: true}).failure(); err != nil {
					t.Fatal(err)
				}
				f.again(len(f.phones))
			}
			at := map[string]int{}
			for _, node := range seen() {
				for phone := range maps.Keys(node) {
					at[phone]++
				}
				if len(node) == 0 {
					t.Error("nobody registered at a node")
				}
			}
			if counts := slices.Collect(maps.Values(at)); len(counts) != len(s.peers) || slices.Min(counts) != test.want || slices.Max(counts) != test.want {
				t.Errorf("%d phones were at %v nodes, want %d at %d each", len(counts), counts, len(s.peers), test.want)
			}
		})
	}
}

func TestANodeHasItsNameAndTheStore(t *testing.T) {
	c := configuration{store: "redis", redis: "redis://127.0.0.1:6390", node: "node2"}
	if text := c.text(); !bytes.Contains([]byte(text), []byte("[location]\nstore = redis\npath = store\nredis = redis://127.0.0.1:6390\nnode = node2\n[registrar]")) {
		t.Errorf("%q", text)
	}
}
