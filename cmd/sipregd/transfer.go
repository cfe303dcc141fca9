package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"sipregd/internal/config"
	"sipregd/internal/location"
	"sipregd/internal/location/durable"
	"sipregd/internal/message"
	"sipregd/internal/sipuri"
)

// savedBinding is a line of an export.
type savedBinding struct {
	AORName      string         `json:"aorname"`
	Domain       string         `json:"domain"` // of the AOR
	Contact      string         `json:"contact"`
	Params       string         `json:"params"`
	Q            string         `json:"q"`
	CallID       string         `json:"call_id"`
	CSeq         uint32         `json:"cseq"`
	Expires      time.Time      `json:"expires"`
	Changed      time.Time      `json:"changed"`
	ServedDomain string         `json:"served_domain"` // that it was registered in
	Authname     string         `json:"authname"`
	Label        string         `json:"label"`
	UserAgent    string         `json:"user_agent"`
	Transport    string         `json:"transport"`
	Source       netip.AddrPort `json:"source"`
	Local        netip.AddrPort `json:"local,omitzero"`
	Stream       bool           `json:"stream,omitempty"` // the phone was reached by a connection
	Path         string         `json:"path,omitempty"`
	NAT          bool           `json:"nat,omitempty"`
}

func savedFrom(e location.Entry) savedBinding {
	b := &e.Binding
	return savedBinding{
		AORName: e.AOR.User, Domain: e.AOR.Domain, Contact: b.Contact, Params: b.Params, Q: b.Q,
		CallID: b.CallID, CSeq: b.CSeq, Expires: b.Expires, Changed: b.Changed, ServedDomain: b.Domain,
		Authname: b.Authname, Label: b.Label, UserAgent: b.UserAgent, Transport: b.Transport, Source: b.Source,
		Local: b.Local, Stream: b.Stream != 0, Path: b.Path, NAT: b.NAT,
	}
}

func (s *savedBinding) entry() location.Entry {
	var stream uint64
	if s.Stream {
		stream = location.EarlierStream
	}
	return location.Entry{AOR: sipuri.AOR{User: s.AORName, Domain: s.Domain}, Binding: location.Binding{
		Contact: s.Contact, Params: s.Params, Q: s.Q, CallID: s.CallID, CSeq: s.CSeq,
		Expires: s.Expires, Changed: s.Changed, Domain: s.ServedDomain, Authname: s.Authname,
		Label: s.Label, UserAgent: s.UserAgent, Transport: s.Transport, Source: s.Source,
		Local: s.Local, Stream: stream, Path: s.Path, NAT: s.NAT,
	}}
}

// check finds what no binding can have.
func (s *savedBinding) check() error {
	uri, err := sipuri.Parse(s.Contact)
	switch {
	case s.AORName == "" && s.Domain == "":
		return errors.New("aorname is missing")
	case err != nil:
		return fmt.Errorf("contact %q: %w", s.Contact, err)
	case !uri.IsSIP():
		return fmt.Errorf("contact %q is no SIP URI", s.Contact)
	case s.Expires.IsZero():
		return errors.New("expires is missing")
	case s.Changed.IsZero():
		return errors.New("changed is missing")
	case s.Changed.After(s.Expires):
		return errors.New("changed is later than expires")
	case s.Authname == "":
		return errors.New("authname is missing")
	case s.Transport == "":
		return errors.New("transport is missing")
	case !s.Source.IsValid():
		return errors.New("source is missing")
	}
	return nil
}

// exportBindings prints the bindings on disk, a line of JSON for each.
func exportBindings(c *config.Config, out io.Writer) error {
	if err := needsFileStore(c, "--export"); err != nil {
		return err
	}
	buffer := bufio.NewWriter(out)
	encoder := json.NewEncoder(buffer)
	encoder.SetEscapeHTML(false)
	var failed error
	err := durable.Read(c.Location.Path, func(e location.Entry) {
		if err := encoder.Encode(savedFrom(e)); err != nil {
			failed = err
		}
	})
	return errors.Join(err, failed, buffer.Flush())
}

// importBindings adds the bindings of an export to those on disk, all or none.
func importBindings(c *config.Config, in io.Reader, out io.Writer) error {
	if err := needsFileStore(c, "--import"); err != nil {
		return err
	}
	if err := ownsStore(c.Location.Path); err != nil {
		return err
	}
	entries, err := readExport(in)
	if err != nil {
		return fmt.Errorf("nothing is imported: %w", err)
	}
	var failure importing
	store, err := durable.Open(durable.Options{Path: c.Location.Path, Observer: &failure, Patience: time.Minute})
	if err != nil {
		return fmt.Errorf("nothing is imported: %w", err)
	}
	counts := addAll(store, entries, time.Now())
	err = store.Close()
	if err == nil {
		err = failure.cause
	}
	if err != nil {
		return fmt.Errorf("not all is imported, do it again once that is mended: %w", err)
	}
	fmt.Fprintf(out, "%d bindings imported, %d left out since they have expired, %d since the store has newer ones\n",
		counts.added, counts.expired, counts.older)
	return nil
}

func needsFileStore(c *config.Config, flag string) error {
	if c.Location.Store != "file" {
		return fmt.Errorf("%s needs [location] store = file; it is %s", flag, c.Location.Store)
	}
	return nil
}

// ownsStore sees to it that the daemon can write what is imported.
func ownsStore(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return nil // it is made, or cannot be, which is said there
	}
	owner, known := info.Sys().(*syscall.Stat_t)
	if known && int(owner.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to another account: run this as that one, such as with sudo -u sipregd", path)
	}
	return nil
}

// readExport reads all lines, or says what is wrong with the first that is.
func readExport(in io.Reader) ([]location.Entry, error) {
	var entries []location.Entry
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16*message.MaxMessage)
	for number := 1; lines.Scan(); number++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		decoder := json.NewDecoder(bytes.NewReader(lines.Bytes())) // what a later version knows besides is left out
		var saved savedBinding
		err := decoder.Decode(&saved)
		if err == nil && decoder.More() {
			err = errors.New("there is more than one value")
		}
		if err == nil {
			err = saved.check()
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w; each line has to be one that --export has printed", number, err)
		}
		entries = append(entries, saved.entry())
	}
	return entries, lines.Err()
}

// imported counts what has become of the lines of an export.
type imported struct{ added, expired, older int }

// errOlder says that a binding was changed since it was exported.
var errOlder = errors.New("the store has a newer one")

// addAll adds bindings. Of two to the same Contact the one that was changed last
// stays.
func addAll(store location.Store, entries []location.Entry, now time.Time) (counts imported) {
	for _, entry := range entries {
		if !entry.Binding.Expires.After(now) {
			counts.expired++
			continue
		}
		err := store.Update(entry.AOR, now, func(current []location.Binding) ([]location.Binding, error) {
			others, err := without(current, &entry.Binding)
			return append(others, entry.Binding), err
		}, nil)
		if errors.Is(err, errOlder) {
			counts.older++
		} else {
			counts.added++
		}
	}
	return counts
}

// without returns a list of its own of the bindings to other Contacts, or of other phones
// or flows to an equal one. It fails where one to the same was changed later.
func without(bindings []location.Binding, next *location.Binding) (others []location.Binding, err error) {
	uri, _ := sipuri.Parse(next.Contact) // it was checked
	for _, b := range bindings {
		switch other, err := sipuri.Parse(b.Contact); {
		case err != nil || !other.Equal(uri) || !isOneFlow(b.Params, next.Params):
			others = append(others, b)
		case b.Changed.After(next.Changed):
			return nil, errOlder
		}
	}
	return others, nil
}

// isOneFlow tells whether Contact parameters are of the same flow of the same phone.
func isOneFlow(a, b string) bool {
	instance, regID := message.InstanceOf(a)
	other, otherID := message.InstanceOf(b)
	return strings.EqualFold(instance, other) && regID == otherID
}

// importing is the observer of a store that is only imported into.
type importing struct{ cause error }

func (i *importing) NotDurable(cause error, _ int) { i.cause = cause }
func (i *importing) Durable(time.Duration)         { i.cause = nil }
func (i *importing) Committed(time.Duration, int)  {}
func (i *importing) Trouble(error)                 {}
func (i *importing) Reading(int)                   {}
func (i *importing) Loaded(int, time.Duration)     {}

func (i *importing) Damaged(damage durable.Damage) {
	i.cause = fmt.Errorf("the store was damaged, what could be read of it is kept and the rest is set aside as %s", damage.Aside)
}
