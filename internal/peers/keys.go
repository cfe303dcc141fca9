package peers

import (
	"math"
	"slices"
	"strings"

	"sipregd/internal/digest"
	"sipregd/internal/inifile"
	"sipregd/internal/sipuri"
)

// The keys of a peer.
const (
	keyAuthname = iota
	keyAORName
	keySecret
	keyPasswordDigest
	keyCertificateName
	keyMaxContacts
	keyMaxAORs
	keyRemoveExisting
	keyRemoveUnavailable
	keyCSeqReset
	keyRecognizePhone
	keyQualifyFrequency
	keyQualifyTimeout
	keyMinimumExpiration
	keyDefaultExpiration
	keyMaximumExpiration
	keyPermit
	keyAlgorithm
	keyDomain
	keyEnabled
	keyDefaultName
	keyDefaultHost
	keyHost
	keyUsername
	keyCount
)

// key is what there is to know about a key. The causes of read's faults read
// on from its name.
type key struct {
	name     string
	personal bool // never a default for several peers
	verbatim bool // the value may be any text: no comment can stand behind it
	foreign  bool // known from Asterisk only
	read     func(r *record, value string) *inifile.Fault
}

var keys = [keyCount]key{
	keyAuthname:          {name: "authname", personal: true, verbatim: true, read: (*record).readAuthname},
	keyAORName:           {name: "aorname", personal: true, read: (*record).readAORNames},
	keySecret:            {name: "secret", personal: true, verbatim: true, read: (*record).readSecret},
	keyPasswordDigest:    {name: "password_digest", personal: true, read: (*record).readPasswordDigest},
	keyCertificateName:   {name: "certificate_name", personal: true, read: (*record).readCertificateNames},
	keyMaxContacts:       {name: "max_contacts", read: (*record).readMaxContacts},
	keyMaxAORs:           {name: "max_aors", read: (*record).readMaxAORs},
	keyRemoveExisting:    {name: "remove_existing", read: (*record).readRemoveExisting},
	keyRemoveUnavailable: {name: "remove_unavailable", read: (*record).readRemoveUnavailable},
	keyCSeqReset:         {name: "cseq_reset", read: (*record).readCSeqReset},
	keyRecognizePhone:    {name: "recognize_phone", read: (*record).readRecognizePhone},
	keyQualifyFrequency:  {name: "qualify_frequency", read: (*record).readQualifyFrequency},
	keyQualifyTimeout:    {name: "qualify_timeout", read: (*record).readQualifyTimeout},
	keyMinimumExpiration: {name: "minimum_expiration", read: (*record).readMinimumExpiration},
	keyDefaultExpiration: {name: "default_expiration", read: (*record).readDefaultExpiration},
	keyMaximumExpiration: {name: "maximum_expiration", read: (*record).readMaximumExpiration},
	keyPermit:            {name: "permit", read: (*record).readPermit},
	keyAlgorithm:         {name: "algorithm", read: (*record).readAlgorithm},
	keyDomain:            {name: "domain", read: (*record).readDomain},
	keyEnabled:           {name: "enabled", read: (*record).readEnabled},
	keyDefaultName:       {name: "defaultname", read: (*record).readDefaultName},
	keyDefaultHost:       {name: "defaulthost", read: (*record).readDefaultHost},
	keyHost:              {name: "host", foreign: true, read: (*record).readHost},
	keyUsername:          {name: "username", foreign: true, read: (*record).readUsername},
}

var keyNumbers = func() map[string]int {
	numbers := make(map[string]int, keyCount)
	for number, k := range keys {
		numbers[k.name] = number
	}
	return numbers
}()

// ownKeyNames are those to suggest.
var ownKeyNames = func() []string {
	var names []string
	for _, k := range keys {
		if !k.foreign {
			names = append(names, k.name)
		}
	}
	return names
}()

func (r *record) readAuthname(value string) *inifile.Fault {
	r.peer.Authname = value
	return notEmpty(value, adviceAuthname)
}

func (r *record) readAORNames(value string) *inifile.Fault {
	var fault *inifile.Fault
	if r.aornames, fault = inifile.List(value); fault != nil {
		return fault
	}
	return notEmpty(value, adviceAORName)
}

func (r *record) readSecret(value string) *inifile.Fault {
	r.secret = value
	return notEmpty(value, adviceSecret)
}

// readPasswordDigest repeats nothing of the value: somebody may have written
// the secret there.
func (r *record) readPasswordDigest(value string) *inifile.Fault {
	for part := range strings.SplitSeq(value, ",") {
		name, _, found := strings.Cut(part, ":")
		if _, err := digest.ParseAlgorithm(strings.TrimSpace(name)); err != nil || !found {
			return &inifile.Fault{Cause: "does not begin with the name of an algorithm", Advice: adviceDigest}
		}
	}
	a1, err := digest.ParseA1(value)
	if err != nil {
		return &inifile.Fault{Cause: "is malformed: " + err.Error(), Advice: adviceDigest}
	}
	r.digest = a1
	return nil
}

func (r *record) readMaxContacts(value string) *inifile.Fault {
	n, fault := inifile.Number(value, 1, math.MaxInt32)
	if fault == nil {
		r.peer.MaxContacts = int(n)
	}
	return fault
}

func (r *record) readMaxAORs(value string) *inifile.Fault {
	n, fault := inifile.Number(value, 1, math.MaxInt32)
	if fault == nil {
		r.peer.MaxAORs = int(n)
	}
	return fault
}

func (r *record) readRemoveExisting(value string) (fault *inifile.Fault) {
	r.peer.RemoveExisting, fault = inifile.Switch(value)
	return fault
}

func (r *record) readRecognizePhone(value string) *inifile.Fault {
	wish, known := ParseWish(value)
	if !known {
		return inifile.UnknownWord(value, wishes[:])
	}
	r.peer.RecognizePhone = wish
	return nil
}

func (r *record) readCSeqReset(value string) (fault *inifile.Fault) {
	r.peer.CSeqReset, fault = inifile.Switch(value)
	return fault
}

func (r *record) readRemoveUnavailable(value string) (fault *inifile.Fault) {
	r.peer.RemoveUnavailable, fault = inifile.Switch(value)
	return fault
}

func (r *record) readQualifyFrequency(value string) *inifile.Fault {
	n, fault := inifile.NumberOrAuto(value, 0, 86400)
	if fault == nil {
		r.peer.QualifyFrequency = n
	}
	return fault
}

func (r *record) readQualifyTimeout(value string) *inifile.Fault {
	n, fault := inifile.Number(value, 1, 60)
	if fault == nil {
		r.peer.QualifyTimeout = int(n)
	}
	return fault
}

func (r *record) readMinimumExpiration(value string) *inifile.Fault {
	return readSeconds(&r.peer.MinimumExpiration, value)
}

func (r *record) readDefaultExpiration(value string) *inifile.Fault {
	return readSeconds(&r.peer.DefaultExpiration, value)
}

func (r *record) readMaximumExpiration(value string) *inifile.Fault {
	return readSeconds(&r.peer.MaximumExpiration, value)
}

func readSeconds(target *uint32, value string) *inifile.Fault {
	n, fault := inifile.Number(value, 1, math.MaxUint32)
	if fault == nil {
		*target = uint32(n)
	}
	return fault
}

func (r *record) readPermit(value string) *inifile.Fault {
	items, fault := inifile.List(value)
	if fault != nil {
		return fault
	}
	r.peer.Permit = nil
	for _, item := range items {
		network, err := parseNetwork(item)
		if err != nil {
			return &inifile.Fault{Cause: "holds " + inifile.Quote(item) + ", which is no network",
				Advice: "write networks such as 192.0.2.0/24 or 2001:db8::/32, or single addresses"}
		}
		if masked := network.Masked(); masked != network {
			r.warn(r.lines[keyPermit], inifile.Fault{
				Cause:  "permit holds " + network.String() + ", which is taken for " + masked.String(),
				Advice: "write it so"})
			network = masked
		}
		r.peer.Permit = append(r.peer.Permit, network)
	}
	return nil
}

// readAlgorithm takes an empty value for any algorithm that is offered.
func (r *record) readAlgorithm(value string) *inifile.Fault {
	r.peer.Algorithm = 0
	if value == "" {
		return nil
	}
	algorithm, err := digest.ParseAlgorithm(value)
	if err != nil {
		return inifile.UnknownWord(value, []string{"MD5", "SHA-256"})
	}
	if !slices.Contains(r.loader.options.Algorithms, algorithm) {
		return &inifile.Fault{Cause: "is " + algorithm.String() + ", which is not offered",
			Advice: "add it to [registrar] algorithms of sipregd.conf, or leave the line out"}
	}
	r.peer.Algorithm = algorithm
	return nil
}

// readDomain takes an empty value for the primary domain.
func (r *record) readDomain(value string) *inifile.Fault {
	served := r.loader.options.Domains
	r.peer.Domain = served.Primary()
	if value == "" {
		return nil
	}
	if !sipuri.IsHost(value) {
		return &inifile.Fault{Cause: "is " + inifile.Quote(value) + ", which is no host name",
			Advice: "write a domain that is served, such as example.com"}
	}
	domain, known := served.Match(value)
	if !known || served.Primary() == "" {
		return notServed("is "+value, value)
	}
	r.peer.Domain = domain
	return nil
}

func notServed(cause, domain string) *inifile.Fault {
	return &inifile.Fault{Cause: cause + ", which is not served here",
		Advice: "add " + domain + " to [registrar] domain of sipregd.conf"}
}

func (r *record) readEnabled(value string) (fault *inifile.Fault) {
	r.peer.Enabled, fault = inifile.Switch(value)
	return fault
}

func (r *record) readDefaultName(value string) *inifile.Fault {
	r.peer.DefaultName = value
	return nil
}

func (r *record) readDefaultHost(value string) *inifile.Fault {
	r.peer.DefaultHost = value
	if value == "" {
		return nil
	}
	uri, err := sipuri.Parse("sip:" + value)
	if err != nil || uri.User != "" || uri.Params != "" || uri.Headers != "" {
		return &inifile.Fault{Cause: "is " + inifile.Quote(value), Advice: "write a host, or host:port"}
	}
	return nil
}

// readHost knows Asterisk's word for a peer that registers.
func (r *record) readHost(value string) *inifile.Fault {
	if strings.EqualFold(value, "dynamic") {
		return nil
	}
	return &inifile.Fault{Cause: "is " + inifile.Quote(value) + ", but each peer registers where it is to be reached",
		Advice: "write host = dynamic or leave the line out; permit says where a peer may come from"}
}

func (r *record) readUsername(string) *inifile.Fault {
	return &inifile.Fault{Cause: "is a word of Asterisk's", Advice: "say authname for the digest username (Auth ID) of the phone"}
}

func notEmpty(value, advice string) *inifile.Fault {
	if value == "" {
		return &inifile.Fault{Cause: "is empty", Advice: advice}
	}
	return nil
}
