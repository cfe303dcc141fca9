// Package api holds what is said over the control socket and HTTP, as JSON: what
// openapi.json describes. Times are RFC 3339, durations seconds. All text may come
// from the network: who shows it has to escape it.
package api

import "time"

// Contact is a binding.
type Contact struct {
	ID        string    `json:"id"` // its own as long as it lives: a decimal number, beyond what JavaScript has exactly
	AOR       string    `json:"aor"`
	Label     string    `json:"label"`
	Authname  string    `json:"authname"`
	Contact   string    `json:"contact"`
	Params    string    `json:"params,omitempty"` // of the Contact header field
	Q         string    `json:"q,omitempty"`
	Source    string    `json:"source"` // address:port that the REGISTER came from
	Transport string    `json:"transport"`
	ExpiresIn int64     `json:"expires_in"`
	Expires   time.Time `json:"expires"`
	LastSeen  time.Time `json:"last_seen"` // added or last refreshed
	UserAgent string    `json:"user_agent,omitempty"`
	CallID    string    `json:"call_id"`
	CSeq      uint32    `json:"cseq"`
	Instance  string    `json:"instance,omitempty"` // ID of the phone (RFC 5626), a URN as a rule
	Push      *Push     `json:"push,omitempty"`
	NAT       bool      `json:"nat,omitempty"`       // the phone is reached by the way that it came alone
	Path      string    `json:"path,omitempty"`      // values of Path (RFC 3327), in order
	Reachable string    `json:"reachable,omitempty"` // yes or no; empty: it was not asked
	RoundTrip float64   `json:"rtt_ms,omitempty"`    // of the last answer; 0: there was none yet
	Node      string    `json:"node,omitempty"`      // that has the phone's connection, where nodes share the bindings
}

// Push is what wakes a phone that sleeps (RFC 8599): the push service, what that wants
// to know, and the phone's token.
type Push struct {
	Provider string `json:"provider"`
	Param    string `json:"param,omitempty"`
	Token    string `json:"token,omitempty"`
}

// Contacts is a page of bindings, ordered by AOR.
type Contacts struct {
	Total    int       `json:"total"` // bindings that match, on all pages
	Contacts []Contact `json:"contacts"`
	Next     string    `json:"next,omitempty"`  // what to ask for as after; empty: this is the last page
	Stale    bool      `json:"stale,omitempty"` // the store is away: these are the bindings that this node saw last
}

// Peer is a record of peers.conf, without what has to stay secret.
type Peer struct {
	Label             string   `json:"label"`
	Authname          string   `json:"authname"`
	AORs              []string `json:"aors"`
	AnyAOR            bool     `json:"any_aor,omitempty"` // aorname = *
	Enabled           bool     `json:"enabled"`
	Bindings          int      `json:"bindings"` // that it has made
	Realms            []string `json:"realms"`
	Algorithm         string   `json:"algorithm,omitempty"`
	CertificateNames  []string `json:"certificate_names,omitempty"` // as they are compared
	Permit            []string `json:"permit,omitempty"`
	MaxContacts       int      `json:"max_contacts"`
	MaxAORs           int      `json:"max_aors"`
	RemoveExisting    bool     `json:"remove_existing"`
	RemoveUnavailable bool     `json:"remove_unavailable"`
	CSeqReset         bool     `json:"cseq_reset"`
	RecognizePhone    string   `json:"recognize_phone"`   // auto, yes or no
	QualifyFrequency  string   `json:"qualify_frequency"` // auto or seconds
	QualifyTimeout    int      `json:"qualify_timeout"`
	MinimumExpiration uint32   `json:"minimum_expiration"`
	DefaultExpiration uint32   `json:"default_expiration"`
	MaximumExpiration uint32   `json:"maximum_expiration"`
	Where             string   `json:"where"`           // file:line
	Stale             bool     `json:"stale,omitempty"` // the store is away: Bindings are those that this node saw last; in Peers it says so of all
}

// Peers is a page of peers, in the order of the files.
type Peers struct {
	Total int    `json:"total"`
	Peers []Peer `json:"peers"`
	Next  string `json:"next,omitempty"`
	Stale bool   `json:"stale,omitempty"` // the store is away: bindings of peers are those that this node saw last
}

// Event is a decision of the registrar. Fields have the names of the log.
type Event struct {
	Seq       uint64    `json:"seq"` // rises; exact as a number of JavaScript
	Time      time.Time `json:"time"`
	Event     string    `json:"event"`
	Reason    string    `json:"reason,omitempty"`
	SourceIP  string    `json:"src_ip,omitempty"`
	Port      uint16    `json:"src_port,omitempty"`
	Transport string    `json:"transport,omitempty"`
	Forgeable bool      `json:"forgeable,omitempty"`
	Status    int       `json:"status,omitempty"`
	Label     string    `json:"label,omitempty"`
	Authname  string    `json:"authname,omitempty"`
	AOR       string    `json:"aor,omitempty"`
	Contact   string    `json:"contact,omitempty"`
	Expires   int64     `json:"expires,omitempty"`
	CallID    string    `json:"call_id,omitempty"`
	UserAgent string    `json:"user_agent,omitempty"`
	Detail    string    `json:"detail,omitempty"`
}

// Missed says that so many events came faster than they were taken.
type Missed struct {
	Missed uint64 `json:"missed"`
}

// Attempt is what a phone tried, and what became of it.
type Attempt struct {
	Event
	Failed bool   `json:"failed"`
	Times  int    `json:"times"`           // in a row, by the same phone for the same cause; this is the last
	Cause  string `json:"cause"`           // a sentence
	Cure   string `json:"cure,omitempty"`  // a sentence or some; empty: nothing is to be done
	Where  string `json:"where,omitempty"` // file:line of the peer that it is about
}

// Why is what is registered now, and the last attempts that match, the latest first.
type Why struct {
	Query      string    `json:"query"`
	Registered []Contact `json:"registered"` // none where all are asked for
	Attempts   []Attempt `json:"attempts"`
	Stale      bool      `json:"stale,omitempty"` // the store is away: registered is what this node saw last
	Note       string    `json:"note,omitempty"`  // that an attempt is under way, or what it means that there is none
}

// Stats is how the daemon does.
type Stats struct {
	Version      string            `json:"version"`
	Started      time.Time         `json:"started"`
	Uptime       int64             `json:"uptime"`
	Listen       []string          `json:"listen"`
	Peers        int               `json:"peers"`
	AORs         int               `json:"aors"`
	Bindings     int               `json:"bindings"`
	Streams      int               `json:"streams"`
	Transactions int               `json:"transactions"` // in memory
	Bans         int               `json:"bans"`
	Events       map[string]uint64 `json:"events"`   // by event, since the start
	Refusals     map[string]uint64 `json:"refusals"` // by reason
	Store        Store             `json:"store"`
	Reload       Reload            `json:"reload"` // the last one
	Webhook      *Webhook          `json:"webhook,omitempty"`
}

// Store is how the location service does.
type Store struct {
	Kind    string     `json:"kind"`           // memory, file or redis
	Node    string     `json:"node,omitempty"` // what this one is called by others that share the store
	Durable bool       `json:"durable"`
	Failure string     `json:"failure,omitempty"`
	Since   *time.Time `json:"since,omitempty"`
	Unsaved int        `json:"unsaved"` // AORs
}

// Webhook is how the events get on that are posted.
type Webhook struct {
	Posted  uint64 `json:"posted"`  // events that were taken
	Dropped uint64 `json:"dropped"` // events that were not, since too many waited
	Failure string `json:"failure,omitempty"`
	Waiting int    `json:"waiting"` // events
}

// Reload is what reading the peers anew has changed, or would.
type Reload struct {
	OK      bool      `json:"ok"`
	Time    time.Time `json:"time"`
	Peers   int       `json:"peers"`
	Added   []string  `json:"added,omitempty"` // labels
	Removed []string  `json:"removed,omitempty"`
	Changed []string  `json:"changed,omitempty"`
	// Certificate is until when another certificate holds that TLS shows then; nil: it is the
	// same, or there is none. ClientCA says that others sign those of phones.
	Certificate *time.Time `json:"certificate,omitempty"`
	ClientCA    bool       `json:"client_ca,omitempty"`
	Warnings    []string   `json:"warnings,omitempty"`
	Errors      []string   `json:"errors,omitempty"` // file:line: [section] what is wrong
}

// Ban keeps a network out.
type Ban struct {
	Network string     `json:"network"`         // address or address/bits
	Until   *time.Time `json:"until,omitempty"` // none: until it is lifted, or the daemon ends
	By      string     `json:"by"`              // administrator, or sipregd by itself
	Why     string     `json:"why,omitempty"`   // of a ban by sipregd
	Dropped uint64     `json:"dropped"`         // datagrams and streams
}

// Bans is all bans.
type Bans struct {
	Bans []Ban `json:"bans"`
}

// NewBan asks for a ban.
type NewBan struct {
	Network string `json:"network"`
	Seconds int64  `json:"seconds,omitempty"` // none: until it is lifted
}

// Removed says how many bindings were removed.
type Removed struct {
	Removed int `json:"removed"`
}

// Error is why a request failed, and what to do.
type Error struct {
	Error string `json:"error"`
}
