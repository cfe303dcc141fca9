package admin_test

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sipregd/internal/admin"
	"sipregd/internal/guard"
	"sipregd/internal/journal"
	"sipregd/internal/qualify"
	"sipregd/internal/transaction"
	"sipregd/internal/transport"
)

func TestMetricsPassPromtool(t *testing.T) {
	m := startMonitored(t)
	m.register(contact)
	if text, err := promtool(t, m.scrape(), "check", "metrics"); err != nil || text != "" {
		t.Errorf("%v: %s", err, text)
	}
}

// moves is what happens, and by how much a metric rises for it. Where it stands
// alone the metric rises by at least one.
var moves = []struct {
	metric string
	by     float64
	what   string
	do     func(m *monitored)
}{
	{`sipregd_requests_total{code="401",method="REGISTER"}`, 1, "no credentials", func(m *monitored) { m.exchange(m.request("REGISTER")) }},
	{`sipregd_requests_total{code="200",method="REGISTER"}`, 1, "registration", func(m *monitored) { m.register(contact) }},
	{`sipregd_requests_total{code="401",method="REGISTER"}`, 2, "wrong secret", func(m *monitored) { m.registerAs("7f3a9c", "wrong", contact) }},
	{`sipregd_requests_total{code="200",method="OPTIONS"}`, 1, "OPTIONS", func(m *monitored) { m.exchange(m.request("OPTIONS")) }},
	{`sipregd_requests_total{code="405",method="INVITE"}`, 1, "INVITE", func(m *monitored) { m.exchange(m.request("INVITE")) }},
	{`sipregd_requests_total{code="none",method="ACK"}`, 1, "ACK", func(m *monitored) { m.send(m.request("ACK")); m.exchange(m.request("OPTIONS")) }},
	{`sipregd_retransmissions_total`, 1, "the same again", func(m *monitored) { m.exchange(m.register(contact)) }},
	{`sipregd_messages_ignored_total`, 1, "keepalive", func(m *monitored) { m.send("\r\n\r\n"); m.exchange(m.request("OPTIONS")) }},
	{`sipregd_answers_withheld_total{reason="size"}`, 1, "a request of few bytes", func(m *monitored) {
		m.send("REGISTER sip:r SIP/2.0\nv:SIP/2.0/UDP h\nf:sip:a\nt:sip:a\ni:1\nCSeq:1 REGISTER\n\n")
		m.exchange(m.request("OPTIONS"))
	}},
	{`sipregd_answers_withheld_total{reason="rate"}`, 0, "many without a use", func(m *monitored) {
		for range 500 {
			m.send(m.request("INVITE"))
		}
		m.await("some get no answer", func() bool { return m.requests(time.Now()).TooMany > 0 })
	}},
	{`sipregd_invites_unacknowledged`, 3, "lost ACKs", func(m *monitored) { m.calls.Unacknowledged = 3 }},
	{`sipregd_invites_given_up_total{cause="no_ack"}`, 4, "lost ACKs", func(m *monitored) { m.calls.NoACK = 4 }},
	{`sipregd_invites_given_up_total{cause="no_room"}`, 5, "many lost ACKs", func(m *monitored) { m.calls.NoRoom = 5 }},
	{`sipregd_redirected_total`, 1, "a call", func(m *monitored) { m.recorder.Record(journal.Event{Kind: journal.Redirected}) }},
	{`sipregd_transactions`, 1, "registration", func(m *monitored) { m.register(contact) }},
	{`sipregd_transaction_bytes`, 0, "registration", func(m *monitored) { m.register(contact) }},
	{`sipregd_transactions_evicted_total`, 0, "many registrations", func(m *monitored) {
		for range 500 {
			m.register(contact)
		}
	}},

	{`sipregd_challenges_total`, 1, "no credentials", func(m *monitored) { m.exchange(m.request("REGISTER")) }},
	{`sipregd_registrations_total{result="added"}`, 1, "registration", func(m *monitored) { m.register(contact) }},
	{`sipregd_registrations_total{result="refreshed"}`, 1, "refresh", func(m *monitored) { m.register(contact); m.register(contact) }},
	{`sipregd_registrations_total{result="listed"}`, 1, "query", func(m *monitored) { m.register() }},
	{`sipregd_registrations_total{result="removed"}`, 1, "removal", func(m *monitored) { m.register(contact); m.register(contact + ";expires=0") }},
	{`sipregd_registrations_total{result="replaced"}`, 1, "second phone", func(m *monitored) { m.register(contact); m.register("Contact: <sip:2001@127.0.0.1:6>") }},
	{`sipregd_registrations_total{result="expired"}`, 1, "expiry", func(m *monitored) { m.register(contact); m.expireAll() }},
	{`sipregd_registrations_total{result="refused"}`, 1, "wrong secret", func(m *monitored) { m.registerAs("7f3a9c", "wrong", contact) }},
	{`sipregd_refusals_total{reason="wrong_secret"}`, 1, "wrong secret", func(m *monitored) { m.registerAs("7f3a9c", "wrong", contact) }},
	{`sipregd_refusals_total{reason="unknown_authname"}`, 1, "unknown authname", func(m *monitored) { m.registerAs("2001", "secret", contact) }},
	{`sipregd_refusals_total{reason="malformed"}`, 1, "malformed", func(m *monitored) { m.exchange(m.request("REGISTER", "Contact: <")) }},
	{`sipregd_bindings_ended_total{reason="by_phone"}`, 1, "removal", func(m *monitored) { m.register(contact); m.register(contact + ";expires=0") }},
	{`sipregd_bindings_ended_total{reason="newer_contact"}`, 1, "second phone", func(m *monitored) { m.register(contact); m.register("Contact: <sip:2001@127.0.0.1:6>") }},
	{`sipregd_bindings_ended_total{reason="same_phone"}`, 1, "another address", func(m *monitored) {
		m.register(contact + `;+sip.instance="<urn:x:1>"`)
		m.register(`Contact: <sip:2001@127.0.0.1:6>;+sip.instance="<urn:x:1>"`)
	}},
	{`sipregd_bindings_ended_total{reason="not_refreshed"}`, 1, "expiry", func(m *monitored) { m.register(contact); m.expireAll() }},
	{`sipregd_bindings_ended_total{reason="peer_changed"}`, 1, "another peers.conf", func(m *monitored) { m.register(contact); m.removeAll() }},
	{`sipregd_nonce_pages`, 1, "registration", func(m *monitored) { m.register(contact) }},
	{`sipregd_watchers`, 1, "watch", func(m *monitored) { m.recorder.Watch(journal.Filter{}, 0) }},

	{`sipregd_bindings`, 1, "registration", func(m *monitored) { m.register(contact) }},
	{`sipregd_aors`, 1, "registration", func(m *monitored) { m.register(contact) }},
	{`sipregd_bindings_reachable`, 3, "phones that answer", func(m *monitored) { m.qualified.States[qualify.Reachable] = 3 }},
	{`sipregd_bindings_unreachable`, 4, "phones that do not answer", func(m *monitored) { m.qualified.States[qualify.Unreachable] = 4 }},
	{`sipregd_qualify_requests_total`, 5, "phones are asked", func(m *monitored) { m.qualified.Asked = 5 }},
	{`sipregd_qualify_failures_total`, 6, "phones do not answer", func(m *monitored) { m.qualified.Unanswered = 6 }},
	{`sipregd_subscriptions`, 2, "somebody subscribes", func(m *monitored) { m.subscribed.Subscriptions = 2 }},
	{`sipregd_notifies_total`, 3, "they are told something", func(m *monitored) { m.subscribed.Notified = 3 }},
	{`sipregd_notify_failures_total`, 1, "one is not there", func(m *monitored) { m.subscribed.Failed = 1 }},
	{`sipregd_qualify_late_seconds`, 2.5, "too many phones to ask", func(m *monitored) { m.qualified.Late = 2500 * time.Millisecond }},
	{`sipregd_qualify_duration_seconds_count`, 1, "an answer", func(m *monitored) { m.metrics.RoundTrip(time.Second) }},
	{`sipregd_qualify_duration_seconds_sum`, 2.5, "a slow answer", func(m *monitored) { m.metrics.RoundTrip(2500 * time.Millisecond) }},
	{`sipregd_peers`, 1, "another peer", func(m *monitored) {
		m.registrar.Reload(m.load(monitoredPeers+"[Other]\nauthname = other\nsecret = s\naorname = 1\n"), time.Now)
	}},
	{`sipregd_store_commit_duration_seconds_count`, 1, "registration", func(m *monitored) { m.register(contact) }},
	{`sipregd_store_commit_duration_seconds_sum`, 2.5, "a slow commit", func(m *monitored) { m.metrics.Committed(2500*time.Millisecond, 7) }},
	{`sipregd_store_commit_aors_count`, 1, "registration", func(m *monitored) { m.register(contact) }},
	{`sipregd_store_commit_aors_sum`, 7, "a slow commit", func(m *monitored) { m.metrics.Committed(2500*time.Millisecond, 7) }},
	{`sipregd_store_durable`, -1, "the disk fails", func(m *monitored) { m.breakDisk() }},
	{`sipregd_store_unsaved_aors`, 1, "the disk fails", func(m *monitored) { m.breakDisk() }},

	{`sipregd_redis_up`, 1, "Redis is there", func(m *monitored) { m.shared.Up = true }},
	{`sipregd_redis_operations_total`, 3, "registrations", func(m *monitored) { m.shared.Operations = 3 }},
	{`sipregd_redis_conflicts_total`, 4, "two nodes at once", func(m *monitored) { m.shared.Conflicts = 4 }},
	{`sipregd_redis_errors_total`, 5, "Redis is away", func(m *monitored) { m.shared.Errors = 5 }},
	{`sipregd_redis_replays_total`, 6, "a replay", func(m *monitored) { m.shared.Replayed = 6 }},

	{`sipregd_datagram_batch_size_count`, 1, "datagram", func(m *monitored) { m.exchange(m.request("OPTIONS")) }},
	{`sipregd_datagram_batch_size_sum`, 1, "datagram", func(m *monitored) { m.exchange(m.request("OPTIONS")) }},
	{`sipregd_datagram_batch_size_bucket{le="1"}`, 1, "datagram", func(m *monitored) { m.exchange(m.request("OPTIONS")) }},
	{`sipregd_datagram_batch_size_bucket{le="256"}`, 2, "datagrams", func(m *monitored) { m.exchange(m.request("OPTIONS")); m.exchange(m.request("OPTIONS")) }},
	{`sipregd_datagrams_dropped_total`, 5, "overload", func(m *monitored) { m.moreAtSockets.Dropped = 5 }},
	{`sipregd_datagrams_lost_total`, 6, "a full queue", func(m *monitored) { m.moreAtSockets.Lost = 6 }},
	{`sipregd_streams`, 1, "stream", func(m *monitored) { m.openStream() }},
	{`sipregd_streams_accepted_total`, 1, "stream", func(m *monitored) { m.openStream() }},
	{`sipregd_streams_refused_total{cause="total"}`, 7, "too many streams", func(m *monitored) { m.moreAtSockets.Refused.Total = 7 }},
	{`sipregd_streams_refused_total{cause="source"}`, 8, "too many streams of one source", func(m *monitored) { m.moreAtSockets.Refused.Source = 8 }},
	{`sipregd_streams_unproved_total{cause="late"}`, 9, "silent streams", func(m *monitored) { m.moreAtSockets.Refused.Late = 9 }},
	{`sipregd_streams_unproved_total{cause="made_room"}`, 5, "silent streams among many", func(m *monitored) { m.moreAtSockets.Refused.MadeRoom = 5 }},
	{`sipregd_streams_accept_failures_total`, 6, "no descriptors", func(m *monitored) { m.moreAtSockets.Failed = 6 }},

	{`sipregd_keepalives_total{kind="crlf"}`, 1, "a ping on a stream", func(m *monitored) { m.openStreamWith("\r\n\r\n") }},
	{`sipregd_keepalives_total{kind="stun"}`, 1, "STUN", func(m *monitored) { m.exchange("\x00\x01\x00\x00\x21\x12\xa4\x42transaction1") }},

	{`sipregd_bans`, 1, "ban", func(m *monitored) { m.banPhone() }},
	{`sipregd_banned_dropped_total`, 1, "a banned phone", func(m *monitored) {
		m.banPhone()
		m.send(m.request("OPTIONS"))
		m.await("it is dropped", func() bool { return m.guard.Dropped(guard.Banned) > 0 })
	}},
	{`sipregd_rate_dropped_total{limit="rate"}`, 0, "a stranger that sends too much", func(m *monitored) { m.flood(1) }},
	{`sipregd_rate_dropped_total{limit="unknown_rate"}`, 0, "many strangers", func(m *monitored) { m.flood(20) }},
	{`sipregd_rate_dropped_total{limit="known_rate"}`, 0, "a phone that sends too much", func(m *monitored) {
		m.guard.Proved(stranger(0).Addr(), time.Now())
		m.flood(1)
	}},
	{`sipregd_sources{kind="known"}`, 1, "a phone", func(m *monitored) { m.guard.Proved(stranger(0).Addr(), time.Now()) }},
	{`sipregd_sources{kind="unknown"}`, 1, "a stranger", func(m *monitored) { m.guard.Admits(stranger(0), "UDP", time.Now()) }},
	{`sipregd_guesses_refused_total`, 1, "somebody who guesses", func(m *monitored) {
		for m.guard.MayTry(stranger(0).Addr(), "a", true, time.Now()) {
			m.guard.Failed(stranger(0).Addr(), "a", true, time.Now())
		}
	}},
	{`sipregd_automatic_bans_total`, 1, "a scanner", func(m *monitored) {
		for i := range 10 {
			m.guard.Failed(stranger(0).Addr(), fmt.Sprint(i), true, time.Now())
		}
	}},
	{`sipregd_webhook_events_total{result="posted"}`, 8, "posts", func(m *monitored) { m.webhook.Posted = 8 }},
	{`sipregd_webhook_failing`, 1, "a webhook that is down", func(m *monitored) { m.webhook.Failure = "no answer" }},
	{`sipregd_webhook_events_waiting`, 7, "a webhook that is down", func(m *monitored) { m.webhook.Waiting = 7 }},
	{`sipregd_webhook_events_total{result="dropped"}`, 9, "a webhook that is down", func(m *monitored) { m.webhook.Dropped = 9 }},
	{`sipregd_config_reloads_total{result="success"}`, 1, "reload", func(m *monitored) { m.metrics.Reloaded(true, time.Now()) }},
	{`sipregd_config_reloads_total{result="failure"}`, 1, "reload", func(m *monitored) { m.metrics.Reloaded(false, time.Now()) }},
	{`sipregd_config_last_reload_successful`, -1, "a reload that failed", func(m *monitored) { m.metrics.Reloaded(false, time.Now()) }},
	{`sipregd_config_last_reload_success_timestamp_seconds`, 0, "reload", func(m *monitored) { m.metrics.Reloaded(true, time.Now().Add(time.Hour)) }},
}

// stranger returns a source where nobody has registered.
func stranger(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 5060)
}

// flood has so many strangers send what is far too much for each.
func (m *monitored) flood(strangers int) {
	for i := range strangers * 5000 {
		m.guard.Admits(stranger(i%strangers), "UDP", time.Now())
	}
}

func TestEachMetricMoves(t *testing.T) {
	for _, test := range moves {
		t.Run(test.metric+" "+test.what, func(t *testing.T) {
			t.Parallel()
			m := startMonitored(t)
			before := readSeries(t, m.scrape())
			test.do(m)
			after := readSeries(t, m.scrape())
			rise := after[test.metric] - before[test.metric]
			if _, there := after[test.metric]; !there || test.by != 0 && rise != test.by || test.by == 0 && rise <= 0 {
				t.Errorf("rises by %v, want %v (0: some)", rise, test.by)
			}
		})
	}
}

var name = regexp.MustCompile(`^\w+`)

func TestEachMetricHasATest(t *testing.T) {
	tested := map[string]bool{"sipregd_build_info": true} // does not move
	for _, test := range moves {
		tested[strings.TrimSuffix(name.FindString(test.metric), "_bucket")] = true
	}
	for each := range readSeries(t, startMonitored(t).scrape()) {
		name := strings.TrimSuffix(name.FindString(each), "_bucket")
		if strings.HasPrefix(name, "sipregd_") && !tested[name] && !tested[name+"_count"] {
			t.Errorf("%s has no test that it moves", each)
		}
	}
}

func TestATimestampStaysAtTheLastSuccess(t *testing.T) {
	loaded := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	metrics := admin.NewMetrics(loaded)
	metrics.Reloaded(true, loaded.Add(time.Minute))
	metrics.Reloaded(false, loaded.Add(time.Hour))
	const key = "sipregd_config_last_reload_success_timestamp_seconds"
	if got := readSeries(t, scrape(t, metrics.Handler()))[key]; got != float64(loaded.Unix()+60) {
		t.Errorf("got %v", got)
	}
}

// All reasons are there from the start: what appears with its first count does not
// rise for Prometheus.
func TestReasonsAreThereFromTheStart(t *testing.T) {
	all := readSeries(t, startMonitored(t).scrape())
	for _, reason := range journal.Reasons() {
		if value, there := all[fmt.Sprintf("sipregd_refusals_total{reason=%q}", reason)]; there != reason.Refuses() || value != 0 {
			t.Errorf("%s: %v, %v", reason, value, there)
		}
	}
}

func TestWithoutSourcesThereIsWhatThereIs(t *testing.T) {
	metrics := admin.NewMetrics(time.Now())
	metrics.Read(admin.Sources{})
	text := scrape(t, metrics.Handler())
	for _, want := range []string{"sipregd_build_info{", "go_goroutines", "process_open_fds", "sipregd_config_last_reload_successful 1"} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %s", want)
		}
	}
	for _, other := range []string{"sipregd_bans", "sipregd_webhook", "sipregd_bindings", "sipregd_store_durable"} {
		if strings.Contains(text, "\n"+other) {
			t.Errorf("there is %s", other)
		}
	}
}

var label = regexp.MustCompile(`(\w+)="((?:[^"\\]|\\.)*)"`)

// allowedLabels are all values that labels may have.
func allowedLabels() map[string][]string {
	allowed := map[string][]string{
		"method": transaction.Methods(),
		"code": {"none", "200", "400", "401", "403", "405", "414", "406", "415", "416", "420", "423", "481", "482", "489",
			"500", "503", "505", "513"},
		"result": {"success", "failure", "posted", "dropped"},
		"kind":   {"crlf", "stun", "known", "unknown"},
		"limit":  {"rate", "unknown_rate", "known_rate"},
		"cause":  {"total", "source", "late", "made_room", "no_ack", "no_room"},
		"reason": {"size", "rate"},
	}
	for _, kind := range journal.Kinds() {
		allowed["result"] = append(allowed["result"], kind.String())
	}
	for _, reason := range journal.Reasons() {
		allowed["reason"] = append(allowed["reason"], reason.String())
	}
	return allowed
}

// Whatever is sent, labels have the values that they have, and there are not more
// series than those make.
func TestTheNetworkChoosesNoLabel(t *testing.T) {
	m := startMonitored(t)
	m.sendHostile()
	allowed := allowedLabels()
	for each := range readSeries(t, m.scrape()) {
		if !strings.HasPrefix(each, "sipregd_") || strings.HasPrefix(each, "sipregd_build_info") {
			continue
		}
		for _, pair := range label.FindAllStringSubmatch(each, -1) {
			if pair[1] != "le" && !slices.Contains(allowed[pair[1]], pair[2]) {
				t.Errorf("%s: a label that is not foreseen", each)
			}
		}
	}
	if text := m.scrape(); strings.Contains(text, "evil") {
		t.Errorf("a scrape holds what the network sent:\n%s", text)
	}
}

// sendHostile sends whatever a stranger could hope to find in a label.
func (m *monitored) sendHostile() {
	for _, authname := range []string{"evil", `evil\"}`, "evil{method=\"evil\"}"} { // before there are too many answers
		m.registerAs(authname, "evil", contact, "User-Agent: evil")
	}
	files, err := filepath.Glob("../../testdata/torture/*.sip")
	if err != nil || len(files) < 100 {
		m.t.Fatalf("%d torture messages, %v", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			m.t.Fatal(err)
		}
		if len(data) < 60_000 && len(data) > 0 {
			m.send(string(data))
		}
	}
	for i := range 500 {
		evil := fmt.Sprintf(`evil%d`, i)
		m.send(m.request(strings.ToUpper(evil)))
		m.send(m.request(evil, "User-Agent: "+evil))
		m.send(m.request("REGISTER", "User-Agent: \"}"+evil+" 1\n", "X: y"))
		m.send(strings.Replace(m.request("REGISTER"), "SIP/2.0", "SIP/"+evil, 1))
		m.send(fmt.Sprintf("SIP/2.0 %d evil\r\n\r\n", i))
	}
	stream := m.dial("tcp", m.tcp)
	_, _ = io.WriteString(stream, "EVIL evil evil\r\nevil: 1\r\n\r\n")
}

// For the race detector.
func TestScrapesAmidRegistrations(t *testing.T) {
	m := startMonitored(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 20 {
			scrape(t, m.metrics.Handler())
		}
	}()
	for range 50 {
		m.register(contact)
	}
	<-done
}

// Batches are told apart as Prometheus wants it: each bucket counts the smaller ones
// too.
func TestBatchesAreCumulative(t *testing.T) {
	metrics := admin.NewMetrics(time.Now())
	metrics.Read(admin.Sources{Sockets: func() (counts transport.Counts) {
		for i := range counts.Batches {
			counts.Batches[i] = transport.Batches{Size: 1 << i, Count: uint64(i + 1)}
		}
		counts.Datagrams = 1000
		return counts
	}})
	all := readSeries(t, scrape(t, metrics.Handler()))
	for key, want := range map[string]float64{
		`sipregd_datagram_batch_size_bucket{le="1"}`: 1, `sipregd_datagram_batch_size_bucket{le="4"}`: 6,
		`sipregd_datagram_batch_size_bucket{le="256"}`: 45, `sipregd_datagram_batch_size_bucket{le="+Inf"}`: 45,
		`sipregd_datagram_batch_size_count`: 45, `sipregd_datagram_batch_size_sum`: 1000,
	} {
		if all[key] != want {
			t.Errorf("%s is %v, want %v", key, all[key], want)
		}
	}
}
