package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"sipregd/internal/admin/api"
	"sipregd/internal/guard"
)

func (s *Server) showStats(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, s.Daemon.Stats())
}

func (s *Server) reload(w http.ResponseWriter, _ *http.Request) { answerReload(w, s.Daemon.Reload()) }

func (s *Server) check(w http.ResponseWriter, _ *http.Request) { answerReload(w, s.Daemon.Check()) }

func answerReload(w http.ResponseWriter, result api.Reload) {
	if result.OK {
		answer(w, http.StatusOK, result)
	} else {
		answer(w, http.StatusUnprocessableEntity, result)
	}
}

func (s *Server) listBans(w http.ResponseWriter, _ *http.Request) {
	list := api.Bans{Bans: []api.Ban{}}
	for _, ban := range s.Guard.List(s.Clock()) {
		list.Bans = append(list.Bans, banOf(ban))
	}
	answer(w, http.StatusOK, list)
}

// longestBan is in seconds: ten years.
const longestBan = 10 * 365 * 24 * 60 * 60

func (s *Server) addBan(w http.ResponseWriter, r *http.Request) {
	var wanted api.NewBan
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&wanted); err != nil {
		fail(w, http.StatusBadRequest, "send {\"network\": \"192.0.2.7\", \"seconds\": 3600}: "+err.Error())
		return
	}
	network, err := readNetwork(wanted.Network)
	if err == nil && (wanted.Seconds < 0 || wanted.Seconds > longestBan) {
		err = fmt.Errorf("seconds is %d: write how long the ban lasts, up to %d, or leave it out", wanted.Seconds, longestBan)
	}
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	ban, err := s.Guard.Ban(network, s.Clock(), time.Duration(wanted.Seconds)*time.Second)
	if err != nil {
		fail(w, http.StatusConflict, err.Error())
		return
	}
	s.Bans.Banned(ban)
	answer(w, http.StatusOK, banOf(ban))
}

func (s *Server) removeBan(w http.ResponseWriter, r *http.Request) {
	network, err := readNetwork(r.URL.Query().Get("network"))
	switch {
	case err != nil:
		fail(w, http.StatusBadRequest, err.Error())
	case !s.Guard.Lift(network, s.Clock()):
		fail(w, http.StatusNotFound, guard.Text(network)+" is not banned")
	default:
		s.Bans.Lifted(network)
		w.WriteHeader(http.StatusNoContent)
	}
}

// readNetwork reads an address or address/bits.
func readNetwork(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil {
		address = address.Unmap().WithZone("")
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	network, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is no address and no network: write such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/64", text)
	}
	if mapped := network.Bits() - (128 - 32); network.Addr().Is4In6() && mapped >= 0 {
		network = netip.PrefixFrom(network.Addr().Unmap(), mapped)
	}
	return network.Masked(), nil
}

func banOf(b guard.Ban) api.Ban {
	shown := api.Ban{Network: guard.Text(b.Network), By: b.By(), Why: b.Why, Dropped: b.Dropped}
	if !b.Until.IsZero() {
		until := b.Until.UTC()
		shown.Until = &until
	}
	return shown
}

// health says that the daemon runs.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) }

// readiness says whether phones can register, and to strangers no more than that.
func (s *Server) readiness(w http.ResponseWriter, _ *http.Request) {
	if s.Daemon.Ready() != nil {
		http.Error(w, "bindings cannot be saved: sipregctl stats and the log say why", http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}
