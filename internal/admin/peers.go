package admin

import (
	"net/http"
	"strconv"
	"strings"

	"sipregd/internal/admin/api"
	"sipregd/internal/inifile"
	"sipregd/internal/location"
	"sipregd/internal/peers"
	"sipregd/internal/sipuri"
)

func (s *Server) listPeers(w http.ResponseWriter, r *http.Request) {
	limit, err := limitOf(r)
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	query := r.URL.Query()
	after, err := strconv.Atoi("0" + query.Get("after"))
	if err != nil {
		fail(w, http.StatusBadRequest, errNotNext.Error())
		return
	}
	l, end := s.begin(r)
	defer end()
	page := s.peersPage(l, strings.ToLower(query.Get("q")), after, limit)
	if !l.hasEnded(w) {
		answer(w, http.StatusOK, page)
	}
}

// peersPage returns the peers that hold a text in one of their names, from a place
// in the files on.
func (s *Server) peersPage(l *lookups, text string, after, limit int) api.Peers {
	page := api.Peers{Peers: []api.Peer{}}
	directory := s.Daemon.Directory()
	var shown []*peers.Peer
	for p := range directory.All() {
		if !namesHold(p, text) {
			continue
		}
		page.Total++
		switch {
		case page.Total <= after:
		case len(shown) < limit:
			shown = append(shown, p)
		default:
			page.Next = strconv.Itoa(after + limit)
		}
	}
	bindings := l.bindingsOf(shown)
	page.Stale = l.stale
	for _, p := range shown {
		page.Peers = append(page.Peers, peerOf(directory, p, bindings))
	}
	return page
}

func namesHold(p *peers.Peer, text string) bool {
	if text == "" || strings.Contains(strings.ToLower(p.Label), text) || strings.Contains(strings.ToLower(p.Authname), text) {
		return true
	}
	for _, aor := range p.AORs {
		if strings.Contains(strings.ToLower(aor.String()), text) {
			return true
		}
	}
	return false
}

// maker is who made a binding.
type maker struct{ domain, authname string }

// mostLookups is for how many AORs of the peers on a page each is looked up: to go through
// all bindings is quicker for more of them, as a rule.
const mostLookups = 1000

// bindingsOf counts the bindings of peers.
func (l *lookups) bindingsOf(shown []*peers.Peer) map[maker]int {
	l.server.searching.Lock()
	defer l.server.searching.Unlock()
	counts := map[maker]int{}
	count := func(bindings []location.Binding) {
		for i := range bindings {
			if b := &bindings[i]; b.Expires.After(l.now) {
				counts[maker{b.Domain, b.Authname}]++
			}
		}
	}
	aors, known := aorsOf(shown)
	if !known || len(aors) > mostLookups {
		for _, bindings := range l.all() {
			count(bindings)
		}
		return counts
	}
	for aor := range aors {
		bindings, _ := l.of(aor)
		count(bindings)
	}
	return counts
}

// aorsOf returns the AORs that peers may bind, unless one may bind any.
func aorsOf(shown []*peers.Peer) (aors map[sipuri.AOR]struct{}, known bool) {
	aors = map[sipuri.AOR]struct{}{}
	for _, p := range shown {
		if p.AnyAOR {
			return nil, false
		}
		for _, aor := range p.AORs {
			aors[aor] = struct{}{}
		}
	}
	return aors, true
}

func (s *Server) showPeer(w http.ResponseWriter, r *http.Request) {
	directory := s.Daemon.Directory()
	p := directory.ByLabel(r.PathValue("label"))
	if p == nil {
		fail(w, http.StatusNotFound, "there is no ["+r.PathValue("label")+"] in the peers that are loaded")
		return
	}
	l, end := s.begin(r)
	defer end()
	shown := peerOf(directory, p, l.bindingsOf([]*peers.Peer{p}))
	if shown.Stale = l.stale; !l.hasEnded(w) {
		answer(w, http.StatusOK, shown)
	}
}

func peerOf(directory *peers.Directory, p *peers.Peer, bindings map[maker]int) api.Peer {
	shown := api.Peer{
		Label: p.Label, Authname: p.Authname, AORs: texts(p.AORs), AnyAOR: p.AnyAOR, Enabled: p.Enabled,
		Realms: p.Realms(), Permit: texts(p.Permit), MaxContacts: p.MaxContacts, MaxAORs: p.MaxAORs, RemoveExisting: p.RemoveExisting,
		RemoveUnavailable: p.RemoveUnavailable, CSeqReset: p.CSeqReset, RecognizePhone: p.RecognizePhone.String(),
		QualifyFrequency: frequency(p.QualifyFrequency), QualifyTimeout: p.QualifyTimeout,
		MinimumExpiration: p.MinimumExpiration, DefaultExpiration: p.DefaultExpiration, MaximumExpiration: p.MaximumExpiration,
		Where: directory.Where(p), CertificateNames: p.CertificateNames,
	}
	if p.Algorithm != 0 {
		shown.Algorithm = p.Algorithm.String()
	}
	for _, domain := range directory.DomainsOf(p) {
		shown.Bindings += bindings[maker{domain, p.Authname}]
	}
	return shown
}

// frequency returns qualify_frequency as peers.conf has it.
func frequency(seconds int) string {
	if seconds == inifile.Auto {
		return "auto"
	}
	return strconv.Itoa(seconds)
}

func texts[T interface{ String() string }](values []T) []string {
	list := []string{}
	for _, value := range values {
		list = append(list, value.String())
	}
	return list
}
