package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sipregd/internal/admin/api"
)

const nodePeers = `
[Kitchen]
authname = 7f3a9c
secret = kitchen
aorname = 200, 201, 202, 203, 2001
`

// startNodes runs daemons that share the bindings at a URL.
func startNodes(t *testing.T, count int, url string, settings string) []*daemon {
	t.Helper()
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprint("sip", i+1)
	}
	return startNamed(t, names, url, settings)
}

// startNamed is startNodes with those names.
func startNamed(t *testing.T, names []string, url, settings string) []*daemon {
	t.Helper()
	nodes := make([]*daemon, len(names))
	var starting sync.WaitGroup
	for i, name := range names {
		nodes[i] = prepareDaemon(t, fmt.Sprintf("[location]\nstore = redis\nredis = %s\nnode = %s\n%s", url, name, settings), nodePeers)
	}
	buildDaemon(t)
	for _, node := range nodes {
		starting.Go(func() { node.run(t) })
	}
	starting.Wait()
	time.Sleep(time.Second) // nonces of that second are good at the node alone that has made them
	return nodes
}

// wanderer is a phone that sends each request to another node, over UDP or TCP, and
// remembers what it was told.
type wanderer struct {
	*client
	name    string
	nodes   []*daemon
	random  *rand.Rand
	history *history
	version int // of its last request, unlike that of any other phone
	slowest time.Duration
	refused int  // 503
	outage  bool // the last request was not granted
	removes bool // bindings, now and then
	granted int
}

func newWanderer(nodes []*daemon, aor string, number int, h *history) *wanderer {
	w := &wanderer{
		client: newClient("udp", nodes[0].udp.String(), "7f3a9c", "kitchen", aor), name: fmt.Sprintf("%s-%d", aor, number),
		nodes: nodes, random: rand.New(rand.NewPCG(uint64(number), 7)), history: h, version: number * 1_000_000,
	}
	w.callID += fmt.Sprint("-", number)
	w.move, w.keeps = w.wander, true
	return w
}

// wander goes to another node, or stays.
func (w *wanderer) wander() {
	if w.random.IntN(3) == 0 {
		return
	}
	w.close()
	w.network, w.server = []string{"udp", "udp", "tcp"}[w.random.IntN(3)], w.nodes[w.random.IntN(len(w.nodes))].udp.String()
}

// step sends a request of some kind, and tells whether nothing could be bound.
func (w *wanderer) step(t *testing.T) (refused bool) {
	w.version++
	contact := fmt.Sprintf("sip:%s@127.0.0.1:%d", w.aorname, 6000+w.random.IntN(3))
	var lines []string
	o := &operation{set: map[string]int{}}
	kind := w.random.IntN(10)
	if kind < 3 && (!w.removes || w.outage) { // what is refused may be carried out, and is not to explain a loss
		kind = 9
	}
	switch kind {
	case 0:
		lines, o.remove = []string{"Contact: *", "Expires: 0"}, []string{"*"}
	case 1, 2:
		lines, o.remove = []string{"Contact: <" + contact + ">;expires=0"}, []string{contact}
	case 3:
		lines = nil // asks what is bound
	default:
		lines, o.set[contact] = []string{fmt.Sprintf("Contact: <%s>;expires=600;v=%d", contact, w.version)}, w.version
	}
	w.send(t, o, lines)
	w.outage = !o.acknowledged
	return w.outage
}

// send sends a request and takes down what came of it.
func (w *wanderer) send(t *testing.T, o *operation, lines []string) {
	o.begun = time.Now()
	answer, sent, err := w.register(lines...)
	o.ended = time.Now()
	took := o.ended.Sub(o.begun)
	switch {
	case err != nil:
		w.close()
		w.nonce = ""
		if !sent {
			return
		}
	case answer.status == 200:
		o.acknowledged, o.listed = true, answer.versions
		w.granted++
	case answer.status == 503:
		w.refused++
		w.slowest = max(w.slowest, took)
		if answer.header.Get("Retry-After") == "" {
			t.Errorf("%s: 503 without Retry-After", w.name)
		}
	default:
		t.Errorf("%s: %v was answered %d", w.name, lines, answer.status)
		return
	}
	w.history.add(o)
}

// company is phones that share addresses, and wander among nodes until they are stopped.
type company struct {
	wanderers []*wanderer
	histories map[string]*history
	cancel    context.CancelFunc
	running   sync.WaitGroup
}

func startCompany(t *testing.T, nodes []*daemon, aors, phones int) *company {
	c := &company{histories: map[string]*history{}}
	ctx, cancel := context.WithCancel(t.Context())
	c.cancel = cancel
	for i := range aors {
		aor := fmt.Sprint("20", i)
		c.histories[aor] = &history{}
		for phone := range phones {
			w := newWanderer(nodes, aor, 1+i*phones+phone, c.histories[aor])
			w.removes = phone == 0
			c.wanderers = append(c.wanderers, w)
			c.running.Go(func() {
				for ctx.Err() == nil {
					pause := 3 * time.Millisecond
					if w.step(t) {
						pause = 250 * time.Millisecond // as Retry-After has phones do, for longer
					}
					time.Sleep(pause)
				}
			})
		}
	}
	return c
}

// end has the phones stop, and see what is bound at each node: all have to say the same.
func (c *company) end(t *testing.T, nodes []*daemon) (granted, refused int) {
	t.Helper()
	c.cancel()
	c.running.Wait()
	asked := map[string]bool{}
	for _, w := range c.wanderers {
		granted, refused = granted+w.granted, refused+w.refused
		if !asked[w.aorname] {
			asked[w.aorname] = true
			w.move = nil
			for _, node := range nodes {
				w.close()
				w.network, w.server = "udp", node.udp.String()
				w.send(t, &operation{}, nil)
			}
		}
		w.close()
	}
	return granted, refused
}

func (c *company) judge(t *testing.T) {
	t.Helper()
	for aor, h := range c.histories {
		if is, why := h.isLinear(); !is {
			t.Errorf("%s: %s", aor, why)
		}
	}
}

// slowest returns how long a phone waited at most to be told that nothing can be bound.
func (c *company) slowest() (slowest time.Duration) {
	for _, w := range c.wanderers {
		slowest = max(slowest, w.slowest)
	}
	return slowest
}

// nodeTime is how long phones wander, more where SIPREGD_NODES says so.
func nodeTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("SIPREGD_NODES")
	if text == "" {
		return 1500 * time.Millisecond
	}
	seconds, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(seconds) * time.Second
}

// Whatever node a request reaches and whatever becomes of Redis: for each address there is
// one order of all that was acknowledged, nothing of that is lost, and phones are told
// soon where nothing can be bound.
func TestManyNodesAreOneRegistrar(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		nodes int
		harm  func(t *testing.T, r *redisServer)
	}{
		{"two", 2, nil},
		{"four", 4, nil},
		{"Redis is killed", 2, func(t *testing.T, r *redisServer) {
			r.kill(t)
			time.Sleep(500 * time.Millisecond)
			r.run(t)
		}},
		{"Redis is paused", 2, func(t *testing.T, r *redisServer) {
			r.pause(t)
			time.Sleep(1200 * time.Millisecond)
			r.resume(t)
		}},
		{"Redis is restarted", 4, func(t *testing.T, r *redisServer) {
			r.signal(t, os.Interrupt)
			_ = r.command.Wait()
			r.run(t)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := startRedis(t)
			nodes := startNodes(t, test.nodes, r.url(), "")
			c := startCompany(t, nodes, 4, 3)
			time.Sleep(nodeTime(t) / 2)
			if test.harm != nil {
				test.harm(t, r)
				for _, node := range nodes { // a short absence may pass unseen by one
					node.wait(t, "that Redis is back", func(log string) bool {
						return !strings.Contains(log, `"event":"not_durable"`) || strings.Contains(log, `"event":"durable"`)
					})
				}
			}
			time.Sleep(nodeTime(t) / 2)
			granted, refused := c.end(t, nodes)
			c.judge(t)
			if granted < 30 || test.harm != nil && refused == 0 {
				t.Errorf("%d were granted, %d refused", granted, refused)
			}
			if slowest := c.slowest(); slowest > 5*time.Second {
				t.Errorf("a phone was told after %v that nothing can be bound", slowest)
			}
			t.Logf("%d granted, %d refused, within %v", granted, refused, c.slowest())
		})
	}
}

// A master that dies is replaced by Sentinels, and nodes go on with its replica.
func TestAFailover(t *testing.T) {
	t.Parallel()
	master := startRedis(t)
	replica := startRedis(t, "--replicaof", fmt.Sprint("127.0.0.1 ", master.port))
	replica.await(t, "INFO replication", "master_link_status:up")
	sentinel := startSentinel(t, master, 1)
	sentinel.await(t, "INFO sentinel", "slaves=1")
	nodes := startNodes(t, 2, fmt.Sprintf("redis://127.0.0.1:%d/0?master_set=phones", sentinel.port), "")
	c := startCompany(t, nodes, 3, 2)
	time.Sleep(nodeTime(t) / 2)
	killed := time.Now()
	master.kill(t)
	for _, node := range nodes {
		node.waitLog(t, `"event":"durable"`)
	}
	healed := time.Now()
	time.Sleep(nodeTime(t) / 2)
	granted, refused := c.end(t, nodes)
	for _, h := range c.histories { // a replica follows a little behind
		h.forget(killed.Add(-200*time.Millisecond), killed.Add(time.Second))
	}
	c.judge(t)
	if granted < 30 || refused == 0 {
		t.Errorf("%d were granted, %d refused", granted, refused)
	}
	t.Logf("%d granted, %d refused, within %v; away for %v", granted, refused, c.slowest(), healed.Sub(killed))
}

// What has proved a request to one node proves nothing to another, even where the binding
// that it made is gone.
func TestReplaysAtAnotherNode(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	nodes := startNodes(t, 2, r.url(), "")
	phone := newClient("udp", nodes[0].udp.String(), "7f3a9c", "kitchen", "2001")
	var captured []byte
	phone.dial = func(network, address string) (net.Conn, error) {
		conn, err := net.Dial(network, address)
		return &tap{conn, &captured}, err
	}
	if answer, _, err := phone.register("Contact: <sip:2001@127.0.0.1:6000>"); err != nil || answer.status != 200 {
		t.Fatal(answer, err)
	}
	stolen := slices.Clone(captured)
	if answer, _, err := phone.register("Contact: *", "Expires: 0"); err != nil || answer.status != 200 {
		t.Fatal(answer, err)
	}
	var left time.Duration // the clock of a node that is a minute behind has it taken for that longer
	if _, err := fmt.Sscanf(r.ask(`EVAL "return redis.call('PTTL', redis.call('KEYS', 'k:use:*')[1])" 0`), ":%d", &left); err != nil || left*time.Millisecond < (300+60)*time.Second-patience {
		t.Errorf("what was used is remembered for %d ms, %v", left, err)
	}
	thief := newClient("udp", nodes[1].udp.String(), "", "", "2001")
	if err := thief.connect(); err != nil {
		t.Fatal(err)
	}
	defer thief.close()
	for _, way := range []string{"as it was", "once more"} {
		_ = thief.conn.SetDeadline(time.Now().Add(patience))
		if _, err := thief.conn.Write(stolen); err != nil {
			t.Fatal(err)
		}
		answer, err := thief.read()
		if err != nil || answer.status != 401 || !strings.Contains(answer.header.Get("WWW-Authenticate"), "stale=true") {
			t.Errorf("%s: %v, %v", way, answer, err)
		}
	}
	if answer, _, err := phone.register(); err != nil || len(answer.contacts) > 0 {
		t.Errorf("bound: %v, %v", answer.contacts, err)
	}
	phone.close()
	nodes[1].waitLog(t, "nonce_count_replayed")
}

// tap keeps what was last written.
type tap struct {
	net.Conn
	last *[]byte
}

func (c *tap) Write(data []byte) (int, error) {
	*c.last = slices.Clone(data)
	return c.Conn.Write(data)
}

// A connection belongs to the node that has it: others neither miss it nor remove what is
// bound over it, and tell where it is.
func TestAConnectionAtAnotherNode(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	nodes := startNodes(t, 2, r.url(), "outbound = sip:sip.example\n[registrar]\ndisconnect_grace = 0\n")
	phone := newClient("tcp", nodes[0].tcp.String(), "7f3a9c", "kitchen", "2001")
	if answer, _, err := phone.register("Contact: <sip:2001@127.0.0.1:6000>"); err != nil || answer.status != 200 {
		t.Fatal(answer, err)
	}
	for _, node := range nodes {
		list := node.bindings(t)
		if len(list) != 1 || list[0].Node != "sip1" || list[0].Reachable == "no" || list[0].Path != "<sip:sip.example;lr>" {
			t.Errorf("bound: %+v", list)
		}
	}
	nodes[1] = nodes[1].restart(t) // it removes what an earlier life of its own has left
	time.Sleep(2 * time.Second)
	if list := nodes[1].bindings(t); len(list) != 1 {
		t.Errorf("bound after a restart of the other node: %+v", list)
	}
	phone.close()
	nodes[1].waitUnbound(t)
	nodes[0].waitLog(t, `"reason":"stream_gone"`)
	if strings.Contains(nodes[1].output.String(), `"reason":"stream_gone"`) {
		t.Error("the other node has removed it")
	}
}

// What a node has bound in an earlier life is its own still: with its peer, or its
// connection, it goes.
func TestBindingsOfAnEarlierLifeOfANode(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	nodes := startNodes(t, 2, r.url(), "[registrar]\ndisconnect_grace = 1\n")
	for _, network := range []string{"udp", "tcp"} {
		phone := newClient(network, nodes[0].udp.String(), "7f3a9c", "kitchen", "2001")
		defer phone.close()
		if answer, _, err := phone.register("Contact: <sip:2001@127.0.0.1:6000;transport=" + network + ">"); err != nil || answer.status != 200 {
			t.Fatal(answer, err)
		}
	}
	nodes[0] = nodes[0].restart(t)
	nodes[0].waitLog(t, `"reason":"stream_gone"`)
	if list := nodes[1].bindings(t); len(list) != 1 || list[0].Transport != "UDP" {
		t.Errorf("left of an earlier life: %+v", list)
	}
	for _, node := range nodes {
		node.writePeers(t, strings.ReplaceAll(nodePeers, "7f3a9c", "other"))
		node.reload(t, `"event":"reloaded"`)
	}
	nodes[1].waitUnbound(t)
	nodes[0].waitLog(t, `"reason":"peer_changed"`)
}

// Two nodes that run with one name say so, and nothing that is registered at either is lost
// as long as both run.
func TestTwoNodesOfOneName(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	nodes := startNamed(t, []string{"sip1", "sip1"}, r.url(), "[registrar]\ndisconnect_grace = 0\n")
	time.Sleep(2 * time.Second) // they have looked at what earlier lives have left
	var phones []*client
	register := func() {
		t.Helper()
		for i, phone := range phones {
			if answer, _, err := phone.register(fmt.Sprintf("Contact: <sip:2001@127.0.0.1:%d;transport=%s>", 6000+i, phone.network)); err != nil || answer.status != 200 {
				t.Fatal(answer, err)
			}
		}
	}
	for _, network := range []string{"tcp", "udp"} {
		for _, node := range nodes {
			phone := newClient(network, node.udp.String(), "7f3a9c", "kitchen", "2001")
			defer phone.close()
			phone.callID += fmt.Sprint(len(phones))
			phones = append(phones, phone)
		}
	}
	register()
	register() // both nodes have seen what the other one has bound
	for _, node := range nodes {
		node.waitLog(t, `"event":"node_name_twice"`)
		if text := node.output.String(); !strings.Contains(text, `"level":"error","event":"node_name_twice","node":"sip1"`) {
			t.Errorf("it says: %s", text)
		}
	}
	time.Sleep(2 * time.Second) // what is taken for gone is removed each second
	for _, node := range nodes {
		if list := node.bindings(t); len(list) != len(phones) {
			t.Errorf("left are %+v", list)
		}
		if strings.Contains(node.output.String(), `"event":"removed"`) {
			t.Error("something was removed")
		}
	}
	register()
}

// While Redis is away the administrator sees what the node saw last, and that it is that.
func TestWhatIsSeenWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	nodes := startNodes(t, 2, r.url(), "")
	phone := newClient("udp", nodes[0].udp.String(), "7f3a9c", "kitchen", "2001")
	defer phone.close()
	if answer, _, err := phone.register("Contact: <sip:2001@127.0.0.1:6000>;expires=600"); err != nil || answer.contacts["sip:2001@127.0.0.1:6000"] < 590 {
		t.Fatal(answer, err)
	}
	r.kill(t)
	nodes[0].waitLog(t, `"event":"not_durable"`)
	for _, lines := range [][]string{{"Contact: <sip:2001@127.0.0.1:6000>"}, nil} {
		if answer, _, err := phone.register(lines...); err != nil || answer.status != 503 || answer.header.Get("Retry-After") == "" {
			t.Errorf("%q: %v, %v", lines, answer, err)
		}
	}
	var contacts api.Contacts
	nodes[0].ask(t, http.MethodGet, "/api/v1/contacts/2001", nil, &contacts)
	if !contacts.Stale || len(contacts.Contacts) != 1 {
		t.Errorf("seen: %+v", contacts)
	}
	var stats api.Stats
	nodes[0].ask(t, http.MethodGet, "/api/v1/stats", nil, &stats)
	if stats.Store.Kind != "redis" || stats.Store.Node != "sip1" || stats.Store.Durable || stats.Store.Failure == "" {
		t.Errorf("stats: %+v", stats.Store)
	}
	r.run(t)
	nodes[0].waitLog(t, `"event":"durable"`)
	// Refreshes are spread from then on, and never granted more than is asked for.
	phone.keeps = true
	shortest, longest := 600, 0
	for range 40 {
		answer, _, err := phone.register("Contact: <sip:2001@127.0.0.1:6000>;expires=600")
		if err != nil || answer.status != 200 {
			t.Fatal(answer, err)
		}
		granted := answer.contacts["sip:2001@127.0.0.1:6000"]
		shortest, longest = min(shortest, granted), max(longest, granted)
	}
	if longest > 600 || shortest < 440 || longest-shortest < 30 {
		t.Errorf("granted from %d to %d", shortest, longest)
	}
	contacts = api.Contacts{}
	if nodes[0].ask(t, http.MethodGet, "/api/v1/contacts/2001", nil, &contacts); contacts.Stale || len(contacts.Contacts) != 1 {
		t.Errorf("seen once Redis is back: %+v", contacts)
	}
}

// A node that starts while Redis is away answers, and shares all once it is there.
func TestANodeThatStartsBeforeRedis(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	r.kill(t)
	nodes := startNodes(t, 2, r.url(), "")
	phone := newClient("udp", nodes[0].udp.String(), "7f3a9c", "kitchen", "2001")
	defer phone.close()
	if answer, _, err := phone.register("Contact: <sip:2001@127.0.0.1:6000>"); err != nil || answer.status != 503 {
		t.Fatal(answer, err)
	}
	r.run(t)
	for _, node := range nodes {
		node.waitLog(t, `"event":"durable"`)
	}
	at := 0
	phone.move = func() { // challenged by one, answered to another
		phone.close()
		phone.server = nodes[at%2].udp.String()
		at++
	}
	deadline := time.Now().Add(patience)
	for challenged := true; challenged; {
		before := at
		answer, _, err := phone.register("Contact: <sip:2001@127.0.0.1:6000>")
		challenged = err != nil || answer.status != 200 || at-before > 2
		if challenged && time.Now().After(deadline) {
			t.Fatal("nonces are not shared: ", answer, err)
		}
	}
}

func TestNodesThatCannotStart(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"node":     "store = redis\nredis = redis://h\nnode = a b\n",
		"password": "store = redis\nredis = redis://:hunter2@\n",
	} {
		d := prepareDaemon(t, "[location]\n"+text, nodePeers)
		output, status := d.fail(t)
		if status != 1 || !strings.Contains(output, "[location]") || strings.Contains(output, "hunter2") {
			t.Errorf("%s: %d %s", name, status, output)
		}
	}
}

// customerPeers is what a customer has in a file of his own.
const customerPeers = `
[Office]
authname = office
secret = paperclip
aorname = 3001

[Store room]
authname = storeroom
secret = cardboard
aorname = 3002
`

// startNodesWithGlobs runs nodes that read a peers.d of their own.
func startNodesWithGlobs(t *testing.T, url string) []*daemon {
	t.Helper()
	nodes := startNodes(t, 2, url, "[peers]\nfile = peers.conf, peers.d/*.conf\n")
	for _, node := range nodes {
		if err := os.Mkdir(node.customers(""), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return nodes
}

// customers returns the path of a file in a node's peers.d.
func (d *daemon) customers(name string) string { return filepath.Join(d.directory, "peers.d", name) }

// office returns the phone of the office, or of its store room, at a node.
func (d *daemon) office(t *testing.T, aor string) *client {
	t.Helper()
	authname, secret := "office", "paperclip"
	if aor == "3002" {
		authname, secret = "storeroom", "cardboard"
	}
	phone := newClient("udp", d.udp.String(), authname, secret, aor)
	t.Cleanup(phone.close)
	return phone
}

// A peer that is in the file of one node alone is unknown to the other one, which says so,
// until it has read a whole file of its own.
func TestAPeerThatOneNodeHasReadAlone(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	nodes := startNodesWithGlobs(t, r.url())
	writeFile(t, nodes[0].customers("office.conf"), customerPeers)
	nodes[0].reload(t, `"event":"reloaded"`)
	if !binds(t, nodes[0].office(t, "3001")) {
		t.Error("the node that has read the peer does not know it")
	}
	if binds(t, nodes[1].office(t, "3001")) {
		t.Error("the other node knows it before")
	}
	nodes[1].checkWhy(t, []string{"3001", "office"}, `sends "office" as its Auth ID, and no peer has that authname`, "add a peer to peers.conf with authname = office")
	if list := nodes[1].bindings(t); len(list) != 1 || list[0].Node != "sip1" {
		t.Errorf("bound: %+v", list)
	}

	// What rsync and others write before they rename it is no file of peers.
	for _, name := range []string{".office.conf.Xy12Zz", ".ansible_tmpxyoffice.conf", "office.conf.new"} {
		writeFile(t, nodes[1].customers(name), customerPeers[:len(customerPeers)/2])
		nodes[1].reload(t, `"event":"reloaded"`)
	}
	writeFile(t, nodes[1].customers("office.conf.new"), customerPeers)
	if err := os.Rename(nodes[1].customers("office.conf.new"), nodes[1].customers("office.conf")); err != nil {
		t.Fatal(err)
	}
	nodes[1].reload(t, `"event":"reloaded"`)
	for _, aor := range []string{"3001", "3002"} {
		if !binds(t, nodes[1].office(t, aor)) {
			t.Errorf("%s: the other node does not know it after", aor)
		}
	}
}

// A peer that is removed at one node keeps what it has bound at another one, which removes
// that when it reads its own file.
func TestAPeerThatIsRemovedAtOneNode(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	nodes := startNodesWithGlobs(t, r.url())
	for _, node := range nodes {
		writeFile(t, node.customers("office.conf"), customerPeers)
		node.reload(t, `"event":"reloaded"`)
	}
	here, there := nodes[0].office(t, "3002"), nodes[1].office(t, "3001")
	if !binds(t, here) || !binds(t, there) {
		t.Fatal("nothing is bound")
	}
	remove := func(node *daemon) {
		if err := os.Remove(node.customers("office.conf")); err != nil {
			t.Fatal(err)
		}
		node.reload(t, `"event":"reloaded"`)
		node.waitLog(t, `"reason":"peer_changed"`)
	}
	remove(nodes[0])
	for _, node := range nodes {
		if list := node.bindings(t); len(list) != 1 || list[0].AOR != "3001" || list[0].Node != "sip2" {
			t.Errorf("bound: %+v", list)
		}
	}
	if binds(t, nodes[0].office(t, "3001")) {
		t.Error("the node knows a peer that it has no more")
	}
	if !binds(t, there) {
		t.Error("the other one knows it no more")
	}
	remove(nodes[1])
	nodes[0].waitUnbound(t)
	if strings.Contains(nodes[0].output.String(), `"aor":"3001","contact"`) {
		t.Error("the first node has removed what was bound at the other one")
	}
}

// What a peer has bound that was new goes with its secret, though it came and was given
// another one before the node looked at what it owes; and what it binds by that stays.
func TestAPeerThatIsNewAndRekeyedAtOnce(t *testing.T) {
	t.Parallel()
	nodes := startNodesWithGlobs(t, startRedis(t).url())
	node := nodes[0]
	read := func(text string) {
		writeFile(t, node.customers("office.conf"), text)
		node.reload(t, `"event":"reloaded"`)
	}
	read(customerPeers)
	old, other := node.office(t, "3001"), node.office(t, "3002")
	if !binds(t, old) || !binds(t, other) {
		t.Fatal("nothing is bound")
	}
	read(strings.NewReplacer("paperclip", "stapler", "cardboard", "plywood").Replace(customerPeers))
	other.secret = "plywood"
	if binds(t, old) || !binds(t, other) {
		t.Error("the secrets are not the new ones")
	}
	node.waitLog(t, `"reason":"peer_changed"`)
	time.Sleep(2 * time.Second) // what is removed wrongly is so within a second
	if list := node.bindings(t); len(list) != 1 || list[0].AOR != "3002" {
		t.Errorf("bound: %+v", list)
	}
}

// binds tells whether a phone may register.
func binds(t *testing.T, phone *client) bool {
	t.Helper()
	answer, _, err := phone.register("Contact: <sip:" + phone.aorname + "@127.0.0.1:6000>")
	if err != nil || answer.status != 200 && answer.status != 401 && answer.status != 403 {
		t.Fatal(answer, err)
	}
	return answer.status == 200
}
