package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"sipregd/internal/inifile"
)

// reader fills a Config from a file.
type reader struct {
	file     inifile.File
	config   Config
	settings []setting
	sections map[string]int // where each section stands
	lines    map[string]int // where each key stands, as section.key
	report   inifile.Report
}

func newReader(file inifile.File) *reader {
	r := &reader{file: file, sections: map[string]int{}, lines: map[string]int{}}
	directory := filepath.Dir(file.Name)
	r.config = defaults(directory)
	r.settings = settings(&r.config, directory)
	return r
}

func (r *reader) readSections() {
	for _, key := range r.file.Global.Keys {
		r.fail(key.Line, "", inifile.Fault{
			Cause: key.Name + " stands before the first section", Advice: r.placeFor(key.Name)})
	}
	for _, section := range r.file.Sections {
		name := strings.ToLower(section.Name)
		known := r.keysOf(name)
		if known == nil {
			r.fail(section.Line, section.Name, inifile.UnknownSection(section.Name, r.sectionNames()))
			continue
		}
		if first, twice := r.sections[name]; twice {
			r.fail(section.Line, name, inifile.Fault{
				Cause: fmt.Sprintf("the section stands on line %d already", first), Advice: "keep one of the two"})
		}
		r.sections[name] = section.Line
		r.readKeys(name, section.Keys, known)
	}
}

func (r *reader) readKeys(section string, keys []inifile.Key, known []string) {
	for _, key := range keys {
		name := strings.ToLower(key.Name)
		i := slices.IndexFunc(r.settings, func(s setting) bool { return s.section == section && s.key == name })
		if i < 0 {
			r.fail(key.Line, section, r.unknown(name, known))
			continue
		}
		if first, twice := r.lines[section+"."+name]; twice {
			r.fail(key.Line, section, inifile.Fault{
				Cause: fmt.Sprintf("%s stands on line %d already", name, first), Advice: "keep one of the two"})
			continue
		}
		r.lines[section+"."+name] = key.Line
		if fault := r.settings[i].read(key.WithoutComment()); fault != nil {
			r.fail(key.Line, section, fault.Of(name))
		}
	}
}

// unknown returns the fault for a key that the section does not have. Where
// another one has it, it says so.
func (r *reader) unknown(name string, known []string) inifile.Fault {
	fault := inifile.UnknownKey(name, known)
	if section := r.sectionOf(name); section != "" {
		fault.Advice = "write it below [" + section + "]"
	}
	return fault
}

// placeFor says where a key belongs.
func (r *reader) placeFor(name string) string {
	if section := r.sectionOf(strings.ToLower(name)); section != "" {
		return "write it below [" + section + "]"
	}
	return "write it below its section, such as [" + r.settings[0].section + "]"
}

func (r *reader) sectionOf(key string) string {
	for _, s := range r.settings {
		if s.key == key {
			return s.section
		}
	}
	return ""
}

// keysOf returns the keys of a section, nil where there is no such section.
func (r *reader) keysOf(section string) []string {
	var keys []string
	for _, s := range r.settings {
		if s.section == section {
			keys = append(keys, s.key)
		}
	}
	return keys
}

func (r *reader) sectionNames() []string {
	var names []string
	for _, s := range r.settings {
		if !slices.Contains(names, s.section) {
			names = append(names, s.section)
		}
	}
	return names
}

func (r *reader) fail(line int, section string, fault inifile.Fault) {
	r.report.Add(inifile.Error{File: r.file.Name, Line: line, Section: section, Fault: fault})
}

// checkTogether checks what more than one key decides, once each is right.
func (r *reader) checkTogether() {
	if r.report.Len() > 0 {
		return
	}
	c := &r.config.Registrar
	r.checkOrder("minimum_expiration", c.MinimumExpiration, "default_expiration", c.DefaultExpiration)
	r.checkOrder("default_expiration", c.DefaultExpiration, "maximum_expiration", c.MaximumExpiration)
	r.checkListen(&r.config.Listen)
	r.checkShared()
	r.checkAdmin(&r.config.Admin)
	r.checkLocation(&r.config.Location)
	r.checkCalls(&r.config.Calls)
}

// checkLocation sees to it that what other nodes are told is said where there may be any.
func (r *reader) checkLocation(l *Location) {
	if l.Store == "redis" {
		return
	}
	usual := defaults("").Location
	for _, key := range [...]struct {
		name  string
		isSet bool
	}{{"node", l.Node != ""}, {"outbound", l.Outbound != ""}, {"remembered", l.Remembered != usual.Remembered}} {
		if key.isSet {
			r.fail(r.lines["location."+key.name], "location", inifile.Fault{
				Cause: key.name + " is of no use without store = redis", Advice: "write that too, or leave " + key.name + " out"})
		}
	}
}

// checkCalls sees to it that nothing is set of what is not done.
func (r *reader) checkCalls(c *Calls) {
	if len(c.Permit) > 0 && !c.Redirect && !c.Events {
		r.fail(r.lines["calls.permit"], "calls", inifile.Fault{
			Cause: "permit is of no use without redirect and events", Advice: "write redirect = yes or events = yes too, or leave permit empty"})
	}
	usual := defaults("").Calls
	for _, limit := range [...]struct {
		name       string
		set, usual int
	}{
		{"max_subscriptions", c.MaxSubscriptions, usual.MaxSubscriptions},
		{"subscriptions_per_aor", c.SubscriptionsPerAOR, usual.SubscriptionsPerAOR},
		{"subscriptions_per_peer", c.SubscriptionsPerPeer, usual.SubscriptionsPerPeer},
	} {
		if limit.set != limit.usual && !c.Events {
			r.fail(r.lines["calls."+limit.name], "calls", inifile.Fault{
				Cause: limit.name + " is of no use without events", Advice: "write events = yes too, or leave " + limit.name + " out"})
		}
	}
}

// checkListen sees to it that what speaks TLS has a certificate, and that none is
// asked for where nothing does.
func (r *reader) checkListen(l *Listen) {
	if (l.Certificate == "") != (l.PrivateKey == "") {
		r.fail(max(r.lines["listen.certificate"], r.lines["listen.private_key"]), "listen", inifile.Fault{
			Cause: "certificate and private_key belong together", Advice: "write both, or none"})
		return
	}
	if l.ClientCA != "" && len(l.TLS)+len(l.WSS)+len(l.MutualTLS) == 0 {
		r.fail(r.lines["listen.client_ca"], "listen", inifile.Fault{
			Cause: "client_ca is of no use without tls and wss", Advice: "write where to listen as tls or wss, or leave client_ca empty"})
	}
	if l.ClientCA == "" && len(l.MutualTLS) > 0 {
		r.fail(r.lines["listen.mutual_tls"], "listen", inifile.Fault{
			Cause: "mutual_tls is of no use without client_ca", Advice: "write client_ca too, the path of who signs the certificates of phones, or leave mutual_tls empty"})
	}
	if l.Certificate != "" {
		return
	}
	for _, kind := range [...]struct {
		key       string
		addresses []string
	}{{"tls", l.TLS}, {"wss", l.WSS}, {"mutual_tls", l.MutualTLS}} {
		if len(kind.addresses) > 0 {
			r.fail(r.lines["listen."+kind.key], "listen", inifile.Fault{
				Cause: kind.key + " needs a certificate", Advice: "write certificate and private_key too, paths of PEM files"})
		}
	}
}

// checkShared sees to it that daemons on the same ports have the same bindings.
func (r *reader) checkShared() {
	if r.config.Listen.SharePorts && r.config.Location.Store != "redis" {
		r.fail(r.lines["listen.share_ports"], "listen", inifile.Fault{
			Cause: "share_ports is for daemons that share their bindings, in Redis", Advice: "write store = redis in [location], or share_ports = no"})
	}
}

// checkAdmin sees to it that nobody on the network is the administrator.
func (r *reader) checkAdmin(a *Admin) {
	if a.HTTP != "" && a.Token == "" && !isLoopback(a.HTTP) {
		r.fail(r.lines["admin.http"], "admin", inifile.Fault{
			Cause: "http is open to others than this machine", Advice: "write a token too, or listen on 127.0.0.1"})
	}
	if a.Webhook != "" && a.RecentMemory == 0 {
		r.fail(r.lines["admin.webhook"], "admin", inifile.Fault{
			Cause: "webhook needs events, and recent_memory = 0 keeps none", Advice: "write recent_memory = 8, or leave webhook empty"})
	}
	if a.WebhookSecret != "" && a.Webhook == "" {
		r.fail(r.lines["admin.webhook_secret"], "admin", inifile.Fault{
			Cause: "webhook_secret is of no use without webhook", Advice: "write the URL to post to as webhook"})
	}
}

// checkOrder checks that the first expiration of [registrar] is not above the
// second.
func (r *reader) checkOrder(low string, lowSeconds uint32, high string, highSeconds uint32) {
	if lowSeconds <= highSeconds {
		return
	}
	lowLine, highLine := r.lines["registrar."+low], r.lines["registrar."+high]
	r.fail(max(lowLine, highLine), "registrar", inifile.Fault{
		Cause: fmt.Sprintf("%s = %d (%s) is above %s = %d (%s)",
			low, lowSeconds, place(lowLine), high, highSeconds, place(highLine)),
		Advice: "write minimum_expiration <= default_expiration <= maximum_expiration",
	})
}

func place(line int) string {
	if line == 0 {
		return "the default"
	}
	return fmt.Sprintf("line %d", line)
}
