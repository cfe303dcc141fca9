package admin

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sipregd/internal/guard"
	"sipregd/internal/journal"
	"sipregd/internal/qualify"
	"sipregd/internal/transaction"
	"sipregd/internal/transport"
)

// What a scrape reads from each source, with the names of labels.
var (
	registrationsTotal = describe("registrations_total", "What became of bindings, and of requests that ask for some.", "result")
	redirectedTotal    = describe("redirected_total", "Calls and other requests for a phone that were told where it is ([calls] redirect).")
	challengesTotal    = describe("challenges_total", "Requests without credentials that were asked for some.")
	refusalsTotal      = describe("refusals_total", "Requests that were refused. sipregctl why says more.", "reason")
	bindingsEnded      = describe("bindings_ended_total", "Bindings that were removed or replaced or have expired.", "reason")

	requestsTotal        = describe("requests_total", "Requests answered, without retransmissions. The code is none for ACK, which gets no answer, and where one is withheld; a registration that was granted and then could not be saved counts as both.", "method", "code")
	retransmissionsTotal = describe("retransmissions_total", "Requests that were found to have come before, and got the same answer.")
	ignoredTotal         = describe("messages_ignored_total", "Messages that are no SIP request: keepalives, responses and noise.")
	answersWithheld      = describe("answers_withheld_total", "Answers over UDP to who had proved nothing that were not given: of more than three times the bytes of the request, or too many.", "reason")
	transactions         = describe("transactions", "Transactions in memory.")
	transactionBytes     = describe("transaction_bytes", "Memory that transactions take or once took.")
	invitesUnacked       = describe("invites_unacknowledged", "Responses to INVITEs over UDP that no ACK has come for yet, and that are sent again.")
	invitesGivenUp       = describe("invites_given_up_total", "Responses to INVITEs over UDP that no ACK came for: in time (no_ack), or that were not sent again by themselves, as a sixteenth of transaction_memory was full of them (no_room).", "cause")
	transactionsEvicted  = describe("transactions_evicted_total", "Transactions that made room for others before their time: their retransmissions are judged anew.")

	batchSize        = describe("datagram_batch_size", "Datagrams that were taken from the kernel at once.")
	datagramsDropped = describe("datagrams_dropped_total", "Datagrams without credentials that were dropped unread in overload.")
	datagramsLost    = describe("datagrams_lost_total", "Datagrams that the kernel has dropped: its queue was full, or it was told to let fewer through in overload.")
	streamsOpen      = describe("streams", "Streams that are open.")
	streamsAccepted  = describe("streams_accepted_total", "Streams that were opened.")
	streamsRefused   = describe("streams_refused_total", "Streams that were closed at once, since too many were open on which phones have registered: in all (total), or from their source.", "cause")
	streamsUnproved  = describe("streams_unproved_total", "Streams that were closed since no phone had registered on them: in time (late), or before others needed the room (made_room).", "cause")
	acceptFailures   = describe("streams_accept_failures_total", "Times that a stream could not be accepted, as without file descriptors.")
	keepalives       = describe("keepalives_total", "Keepalives answered: STUN over UDP, line ends (CRLF) on streams.", "kind")

	bindingsNow = describe("bindings", "Bindings: Contacts that addresses-of-record are bound to.")
	aorsNow     = describe("aors", "Addresses-of-record that are bound to a Contact or several.")

	bindingsReachable   = describe("bindings_reachable", "Bindings whose phones were asked (OPTIONS) and have answered.")
	bindingsUnreachable = describe("bindings_unreachable", "Bindings whose phones were asked (OPTIONS) and did not answer, or whose connections are gone.")
	qualifyRequests     = describe("qualify_requests_total", "Times that a phone was asked whether it is there, each with its retransmissions.")
	qualifyFailures     = describe("qualify_failures_total", "Times that a phone was asked and did not answer, or that its connection was gone.")
	qualifyLate         = describe("qualify_late_seconds", "How long the phone that is asked next should have been asked before: more than 1 where there are too many to ask.")

	subscriptionsNow = describe("subscriptions", "Subscriptions to registration events.")
	notifiesTotal    = describe("notifies_total", "NOTIFYs of registration events, without those that were sent again.")
	notifyFailures   = describe("notify_failures_total", "NOTIFYs that had no answer, or another than 2xx, or whose connection was gone. Each has ended a subscription.")

	storeDurable = describe("store_durable", "Whether bindings are saved: 1, or 0 while the disk fails or Redis is away.")
	storeUnsaved = describe("store_unsaved_aors", "Addresses-of-record whose bindings are still to be saved.")

	redisUp         = describe("redis_up", "Whether Redis is there, and all masters of a Cluster: 1, or 0 and registrations are answered 503 that need what is away.")
	redisOperations = describe("redis_operations_total", "Operations on Redis: round trips.")
	redisConflicts  = describe("redis_conflicts_total", "Changes that were made again, as another node was quicker.")
	redisErrors     = describe("redis_errors_total", "Operations on Redis that failed.")
	redisReplayed   = describe("redis_replays_total", "Requests that were refused since what proved them was used at another node before.")

	bansNow       = describe("bans", "Bans in force.")
	bannedDropped = describe("banned_dropped_total", "Messages and streams from banned networks, dropped unread.")
	bansSet       = describe("automatic_bans_total", "Bans that the daemon has set by itself.")
	rateDropped   = describe("rate_dropped_total", "Messages that were dropped unread, since a source, or all where nobody has registered lately, sent more than [security] lets it.", "limit")
	guessesUnread = describe("guesses_refused_total", "Credentials that were not looked at, after too many wrong ones for the authname from the source.")
	sourcesNow    = describe("sources", "Sources that are remembered: those where a phone has registered within a day or longer, and others. There is room for 229,376.", "kind")

	webhookEvents  = describe("webhook_events_total", "Events posted to the webhook, and those dropped since too many waited.", "result")
	webhookFailing = describe("webhook_failing", "Whether the last post to the webhook failed, 1, and is made again.")
	webhookWaiting = describe("webhook_events_waiting", "Events that wait to be posted to the webhook.")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("sipregd_"+name, help, labels, nil)
}

// collector is a source, and what is read from it.
type collector struct {
	descriptions []*prometheus.Desc
	collect      func(sink)
}

// sink takes metrics in.
type sink chan<- prometheus.Metric

func (c collector) Describe(descriptions chan<- *prometheus.Desc) {
	for _, d := range c.descriptions {
		descriptions <- d
	}
}

func (c collector) Collect(metrics chan<- prometheus.Metric) { c.collect(metrics) }

func (s sink) counter(d *prometheus.Desc, value uint64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
}

func (s sink) gauge(d *prometheus.Desc, value float64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

// collectors returns those of the sources that are there.
func (s Sources) collectors() (all []prometheus.Collector) {
	add := func(is bool, collect func(sink), descriptions ...*prometheus.Desc) {
		if is {
			all = append(all, collector{descriptions, collect})
		}
	}
	add(s.Events != nil, s.collectEvents, registrationsTotal, redirectedTotal, challengesTotal, refusalsTotal, bindingsEnded)
	add(s.Requests != nil, s.collectRequests, requestsTotal, retransmissionsTotal, ignoredTotal, answersWithheld,
		transactions, transactionBytes, transactionsEvicted, invitesUnacked, invitesGivenUp)
	add(s.Sockets != nil, s.collectSockets, batchSize, datagramsDropped, datagramsLost,
		streamsOpen, streamsAccepted, streamsRefused, streamsUnproved, acceptFailures, keepalives)
	add(s.Bindings != nil, s.collectBindings, bindingsNow, aorsNow)
	add(s.Qualify != nil, s.collectQualify, bindingsReachable, bindingsUnreachable, qualifyRequests, qualifyFailures, qualifyLate)
	add(s.Subscriptions != nil, s.collectSubscriptions, subscriptionsNow, notifiesTotal, notifyFailures)
	add(s.Saving != nil, s.collectSaving, storeDurable, storeUnsaved)
	add(s.Shared != nil, s.collectShared, redisUp, redisOperations, redisConflicts, redisErrors, redisReplayed)
	add(s.Guard != nil, s.collectGuard, bansNow, bannedDropped, bansSet, rateDropped, guessesUnread, sourcesNow)
	add(s.Webhook != nil, s.collectWebhook, webhookEvents, webhookFailing, webhookWaiting)
	if s.Peers != nil {
		all = append(all, newCount("sipregd_peers", "Peers of peers.conf.", s.Peers))
	}
	if s.Nonces != nil {
		all = append(all, newCount("sipregd_nonce_pages", "Pages of 256 nonces whose counts are remembered, so that nobody uses captured credentials.", s.Nonces))
	}
	if s.Watches != nil {
		all = append(all, newCount("sipregd_watchers", "Who follows events as they happen: sipregctl watch, pages that are open, the webhook.", s.Watches))
	}
	return all
}

func newCount(name, help string, count func() int) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(count()) })
}

func (s Sources) collectEvents(out sink) {
	counts := s.Events()
	for _, kind := range journal.Kinds() {
		switch kind {
		case journal.Challenged:
			out.counter(challengesTotal, counts.Of(kind))
		case journal.Redirected:
			out.counter(redirectedTotal, counts.Of(kind))
		case journal.Subscribed, journal.Unsubscribed: // the notifier counts them
		default:
			out.counter(registrationsTotal, counts.Of(kind), kind.String())
		}
	}
	for _, reason := range journal.Reasons() {
		if refused := counts[journal.Refused][reason]; refused > 0 || reason.Refuses() {
			out.counter(refusalsTotal, refused, reason.String())
		}
		if reason.EndsBinding() {
			ended := counts[journal.Removed][reason] + counts[journal.Replaced][reason] + counts[journal.Expired][reason]
			out.counter(bindingsEnded, ended, reason.String())
		}
	}
}

func (s Sources) collectRequests(out sink) {
	counts := s.Requests(time.Now())
	for _, answered := range withUsual(counts.Answered) {
		code := "none"
		if answered.Status > 0 {
			code = strconv.Itoa(answered.Status)
		}
		out.counter(requestsTotal, answered.Count, answered.Method, code)
	}
	out.counter(retransmissionsTotal, counts.Retransmissions)
	out.counter(ignoredTotal, counts.Ignored)
	out.counter(answersWithheld, counts.TooLong, "size")
	out.counter(answersWithheld, counts.TooMany, "rate")
	out.gauge(transactions, float64(counts.Transactions))
	out.gauge(transactionBytes, float64(counts.Bytes))
	out.counter(transactionsEvicted, counts.Evicted)
	out.gauge(invitesUnacked, float64(counts.Unacknowledged))
	out.counter(invitesGivenUp, counts.NoACK, "no_ack")
	out.counter(invitesGivenUp, counts.NoRoom, "no_room")
}

// withUsual adds the usual answers that were not given yet: what appears with its
// first count does not rise for Prometheus.
func withUsual(list []transaction.Answered) []transaction.Answered {
	given := map[transaction.Answered]bool{}
	for _, a := range list {
		given[transaction.Answered{Method: a.Method, Status: a.Status}] = true
	}
	for _, usual := range []transaction.Answered{
		{Method: "REGISTER", Status: 200}, {Method: "REGISTER", Status: 401}, {Method: "REGISTER", Status: 403},
		{Method: "REGISTER", Status: 500}, {Method: "REGISTER", Status: 503}, {Method: "OPTIONS", Status: 200},
	} {
		if !given[usual] {
			list = append(list, usual)
		}
	}
	return list
}

func (s Sources) collectSockets(out sink) {
	counts := s.Sockets()
	out <- batchHistogram(&counts)
	out.counter(datagramsDropped, counts.Dropped)
	out.counter(datagramsLost, counts.Lost)
	out.gauge(streamsOpen, float64(counts.Streams))
	out.counter(streamsAccepted, counts.Accepted)
	out.counter(streamsRefused, counts.Refused.Total, "total")
	out.counter(streamsRefused, counts.Refused.Source, "source")
	out.counter(streamsUnproved, counts.Refused.Late, "late")
	out.counter(streamsUnproved, counts.Refused.MadeRoom, "made_room")
	out.counter(acceptFailures, counts.Failed)
	out.counter(keepalives, counts.Pings, "crlf")
	if s.STUN != nil {
		out.counter(keepalives, s.STUN(), "stun")
	}
}

func batchHistogram(counts *transport.Counts) prometheus.Metric {
	upTo, buckets := uint64(0), map[float64]uint64{}
	for _, b := range counts.Batches {
		upTo += b.Count
		buckets[float64(b.Size)] = upTo
	}
	return prometheus.MustNewConstHistogram(batchSize, upTo, float64(counts.Datagrams), buckets)
}

func (s Sources) collectBindings(out sink) {
	aors, bindings := s.Bindings()
	out.gauge(aorsNow, float64(aors))
	out.gauge(bindingsNow, float64(bindings))
}

func (s Sources) collectQualify(out sink) {
	counts := s.Qualify()
	out.gauge(bindingsReachable, float64(counts.States[qualify.Reachable]))
	out.gauge(bindingsUnreachable, float64(counts.States[qualify.Unreachable]))
	out.counter(qualifyRequests, counts.Asked)
	out.counter(qualifyFailures, counts.Unanswered)
	out.gauge(qualifyLate, counts.Late.Seconds())
}

func (s Sources) collectSubscriptions(out sink) {
	counts := s.Subscriptions()
	out.gauge(subscriptionsNow, float64(counts.Subscriptions))
	out.counter(notifiesTotal, counts.Notified)
	out.counter(notifyFailures, counts.Failed)
}

func (s Sources) collectSaving(out sink) {
	durable, unsaved := s.Saving()
	out.gauge(storeDurable, oneIf(durable))
	out.gauge(storeUnsaved, float64(unsaved))
}

func (s Sources) collectShared(out sink) {
	counts := s.Shared()
	out.gauge(redisUp, oneIf(counts.Up))
	out.counter(redisOperations, counts.Operations)
	out.counter(redisConflicts, counts.Conflicts)
	out.counter(redisErrors, counts.Errors)
	out.counter(redisReplayed, counts.Replayed)
}

func (s Sources) collectGuard(out sink) {
	now := time.Now()
	out.gauge(bansNow, float64(len(s.Guard.List(now))))
	out.counter(bannedDropped, s.Guard.Dropped(guard.Banned))
	out.counter(bansSet, s.Guard.BannedByItself())
	for _, limit := range guard.Rates() {
		out.counter(rateDropped, s.Guard.Dropped(limit), limit.String())
	}
	out.counter(guessesUnread, s.Guard.Guesses())
	known, strangers := s.Guard.Sources(now)
	out.gauge(sourcesNow, float64(known), "known")
	out.gauge(sourcesNow, float64(strangers), "unknown")
}

func (s Sources) collectWebhook(out sink) {
	webhook := s.Webhook()
	out.counter(webhookEvents, webhook.Posted, "posted")
	out.counter(webhookEvents, webhook.Dropped, "dropped")
	out.gauge(webhookFailing, oneIf(webhook.Failure != ""))
	out.gauge(webhookWaiting, float64(webhook.Waiting))
}
