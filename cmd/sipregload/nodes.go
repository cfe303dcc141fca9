package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
)

// nodePhones are enough that the memory of Redis for each can be told.
const nodePhones = 10_000

const mostNodes = 4

// nodesRow is nodes that share one Redis, and how phones use them.
type nodesRow struct {
	row
	nodes  int
	logged bool // Redis keeps a log of changes, which it writes to the disk every second
}

// nodesBench is nodes that share one Redis.
type nodesBench struct {
	*benchmark
	redis *redis
	nodes []*server
	each  int64 // bytes of Redis's memory for an AOR that was bound for the first time
}

// nodesRows are what is measured. Phones stay with their node, or each registers at
// another one than the last time.
func nodesRows() []*nodesRow {
	var rows []*nodesRow
	add := func(nodes int, moves, logged bool) {
		r := &nodesRow{row: row{name: nodesName(nodes, moves, logged), over: overNodes(nodes, moves)}, nodes: nodes, logged: logged}
		rows = append(rows, r)
	}
	for _, nodes := range []int{1, 2, mostNodes} {
		add(nodes, false, false)
		if nodes > 1 {
			add(nodes, true, false)
		}
	}
	add(1, false, true)
	return rows
}

func nodesName(nodes int, moves, logged bool) string {
	name := "1 node"
	if nodes > 1 {
		name = fmt.Sprintf("%d nodes, phones stay", nodes)
	}
	if moves {
		name = fmt.Sprintf("%d nodes, phones move", nodes)
	}
	if logged {
		name += ", appendfsync everysec"
	}
	return name
}

// overNodes is how phones reach nodes: all wires show the same address, so that a phone
// that moves has the same Contact everywhere.
func overNodes(nodes int, moves bool) link {
	return link{transport: "UDP", wires: ports, lanes: ports, believed: phoneAddress, moves: moves && nodes > 1}
}

// benchNodes measures nodes that share the bindings in one Redis.
func (b *benchmark) benchNodes() error {
	if _, err := exec.LookPath(redisServer); err != nil {
		fmt.Println("Redis is not installed, so nodes that share one are NOT MEASURED (apt-get install redis-server).")
		return nil
	}
	disk, err := diskDirectory()
	if err != nil {
		return err
	}
	directory, err := os.MkdirTemp(disk, "sipregload-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(directory)
	rows := nodesRows()
	nb := &nodesBench{benchmark: b}
	if err := nb.run(directory, rows); err != nil {
		return fmt.Errorf("sipregd, store = redis: %w", err)
	}
	nb.print(os.Stdout, rows)
	return nil
}

// run measures all rows in turns, with nodes that are started once.
func (nb *nodesBench) run(directory string, rows []*nodesRow) (err error) {
	if nb.redis, err = nb.startRedis(directory); err != nil {
		return err
	}
	defer nb.redis.stop()
	peers := shared(scattered(nodePhones), nb.sharing)
	return nb.withNodes(mostNodes, peers, func() error {
		if nb.each, err = nb.firstBindings(); err != nil {
			return err
		}
		for range nb.rounds {
			for _, r := range rows {
				if err := nb.measureNodes(r); err != nil {
					return fmt.Errorf("%s: %w", r.name, err)
				}
			}
		}
		return nil
	})
}

// withNodes starts one more node after the other, and stops them after use.
func (nb *nodesBench) withNodes(more int, peers []names, use func() error) error {
	if more == 0 {
		return use()
	}
	c := configuration{peers: peers, store: "redis", level: "error", redis: nb.redis.url(), node: fmt.Sprintf("node%d", more)}
	return nb.withSipregd(c, "", func(s *server) error {
		nb.nodes = append(nb.nodes, s)
		return nb.withNodes(more-1, peers, use)
	})
}

// firstBindings has all phones register once, and returns what that takes of Redis's
// memory for each.
func (nb *nodesBench) firstBindings() (each int64, err error) {
	before, err := nb.redis.counts()
	if err != nil {
		return 0, err
	}
	s := nb.first(mostNodes)
	f, err := newFleet(s, s.peers, newHost(), overNodes(mostNodes, false))
	if err != nil {
		return 0, err
	}
	defer f.close()
	if err := f.run(nb.ctx, phase{inFlight: nb.pending, once: true, crowded: true}).failure(); err != nil {
		return 0, err
	}
	after, err := nb.redis.counts()
	return after.since(before).memory / nodePhones, err
}

// first is the first so many nodes as one server.
func (nb *nodesBench) first(count int) *server {
	one := nb.nodes[0]
	return &server{address: one.address, pid: one.pid, peers: one.peers, nodes: nb.nodes[:count], store: nb.redis}
}

func (nb *nodesBench) measureNodes(r *nodesRow) error {
	if err := nb.redis.keepLog(nb.ctx, r.logged); err != nil {
		return err
	}
	s := nb.first(r.nodes)
	f, err := newFleet(s, s.peers, newHost(), r.over)
	if err != nil {
		return err
	}
	defer f.close()
	// Each phone comes to the node that it belongs to in this row.
	if err := f.run(nb.ctx, phase{inFlight: nb.pending, once: true, crowded: true}).failure(); err != nil {
		return err
	}
	f.again(len(f.phones))
	// On a machine with other work Redis may get no core for half a second: nodes then
	// put phones off.
	m, err := f.measure(nb.ctx, nb.options, s, phase{inFlight: nb.pending, crowded: true})
	if err != nil {
		return err
	}
	return r.add(m)
}

// perRegistration is what Redis counted for each registration.
func (r *nodesRow) perRegistration(counted func(redisCounts) float64) spread {
	return r.spread(func(m measurement) float64 { return counted(m.shared) / float64(max(1, m.completed)) })
}

func (r *nodesRow) trips() spread {
	return r.perRegistration(func(c redisCounts) float64 { return float64(c.trips) })
}

func (r *nodesRow) redisCPU() spread {
	return r.perRegistration(func(c redisCounts) float64 { return micros(c.cpu) })
}

// redisBusy is in percent of a core.
func (nb *nodesBench) redisBusy(r *nodesRow) spread {
	return r.spread(func(m measurement) float64 { return 100 * m.shared.cpu.Seconds() / nb.span.Seconds() })
}

func (nb *nodesBench) print(out io.Writer, rows []*nodesRow) {
	t := newTable(out, "sipregd, store = redis", "registrations/s", "CPU µs each, of the nodes", "of Redis", "round trips each",
		"bytes to Redis", "and from it", "nodes, core %", "Redis, core %", "generator %", "p99 ms", "answered 503", "MB, of the nodes")
	for _, r := range rows {
		t.add(r.name, r.perSecond().text("%.0f"), r.cpu().text("%.1f"), r.redisCPU().text("%.1f"), r.trips().text("%.2f"),
			fmt.Sprintf("%.0f", r.perRegistration(func(c redisCounts) float64 { return float64(c.in) }).median),
			fmt.Sprintf("%.0f", r.perRegistration(func(c redisCounts) float64 { return float64(c.out) }).median),
			fmt.Sprintf("%.0f", r.busy().median), fmt.Sprintf("%.0f", nb.redisBusy(r).median),
			fmt.Sprintf("%.0f", r.generator().median), r.percentile(wholes, 99).text("%.1f"),
			r.spread(func(m measurement) float64 { return float64(m.putOff) }).text("%.0f"), fmt.Sprintf("%.0f", r.resident().median))
	}
	t.flush()
	fmt.Fprintf(out, "\nMedian and range of %d runs. Refreshes of %d AORs, %d at once, each by REGISTER, 401, REGISTER, 200. All nodes have one\n"+
		"core, and Redis shares the generator's. A phone that moves registers at another node each time. Round trips are the\n"+
		"scripts that Redis ran. An AOR that is bound to one Contact takes %d bytes of Redis's memory (used_memory).\n%s\n",
		nb.rounds, nodePhones, nb.pending, nb.each, explanation)
}
