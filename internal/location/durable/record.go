package durable

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// version of the records that are written here. Those of version 1, which had no
// paths and no flows, are read too.
const version = 2

// The kinds of keys. A binding is two records under its ID, so that a refresh
// writes the small one alone.
const (
	fixedKind   = 'f' // what a refresh leaves as it is, with the AOR
	varyingKind = 'v' // expiry, time of change, CSeq
	roundKind   = 'r' // without an ID: the number of the last commit
)

// keySize is the length of a binding's key: its kind and its ID.
const keySize = 1 + 8

func appendKey(key []byte, kind byte, id uint64) []byte {
	return binary.BigEndian.AppendUint64(append(key, kind), id)
}

// keyID returns the ID in a binding's key.
func keyID(key []byte) (id uint64, ok bool) {
	if len(key) != keySize {
		return 0, false
	}
	return binary.BigEndian.Uint64(key[1:]), true
}

var (
	errDamaged = errors.New("a record does not pass its checksum")
	errVersion = errors.New("a record of a version that this sipregd does not know")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sealed is what stands before a record's content: its checksum, over the key,
// the version and the content, and the version. This much is the same in all
// versions.
const sealed = 4 + 1

// seal fills in what stands before a record's content.
func seal(key, record []byte) []byte {
	record[4] = version
	binary.LittleEndian.PutUint32(record, checksum(key, record))
	return record
}

func checksum(key, record []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, record[4:])
}

// unseal returns a record's content.
func unseal(key, record []byte) ([]byte, error) {
	switch {
	case len(record) < sealed || binary.LittleEndian.Uint32(record) != checksum(key, record):
		return nil, errDamaged
	case record[4] != version && !isOlder(record):
		return nil, errVersion
	}
	return record[sealed:], nil
}

// isOlder tells whether a sealed record is of version 1.
func isOlder(record []byte) bool { return record[4] == 1 }

// appendFixed writes the fixed record of a binding.
func appendFixed(record, key []byte, aor sipuri.AOR, fixed string) []byte {
	record = append(record, make([]byte, sealed)...)
	record = location.AppendText(location.AppendText(record, aor.User), aor.Domain)
	return seal(key, append(record, fixed...))
}

// varying is the content of a varying record.
type varying struct {
	round   uint64 // of the commit that wrote it
	expires int64
	changed int64
	cseq    uint32
	fixed   uint32 // the checksum of the fixed record that it goes with
}

func appendVarying(record, key []byte, v varying) []byte {
	record = append(record, make([]byte, sealed)...)
	record = binary.LittleEndian.AppendUint64(record, v.round)
	record = binary.LittleEndian.AppendUint64(record, uint64(v.expires))
	record = binary.LittleEndian.AppendUint64(record, uint64(v.changed))
	record = binary.LittleEndian.AppendUint32(record, v.cseq)
	return seal(key, binary.LittleEndian.AppendUint32(record, v.fixed))
}

func readVarying(key, record []byte) (varying, error) {
	content, err := unseal(key, record)
	if err != nil {
		return varying{}, err
	}
	if len(content) != 8+8+8+4+4 {
		return varying{}, errDamaged
	}
	return varying{
		round:   binary.LittleEndian.Uint64(content),
		expires: int64(binary.LittleEndian.Uint64(content[8:])),
		changed: int64(binary.LittleEndian.Uint64(content[16:])),
		cseq:    binary.LittleEndian.Uint32(content[24:]),
		fixed:   binary.LittleEndian.Uint32(content[28:]),
	}, nil
}

// roundKey is where the number of the last commit stands.
var roundKey = []byte{roundKind}

func appendRound(record []byte, round uint64) []byte {
	record = append(record, make([]byte, sealed)...)
	return seal(roundKey, binary.LittleEndian.AppendUint64(record, round))
}

func readRound(record []byte) (uint64, error) {
	content, err := unseal(roundKey, record)
	if err != nil {
		return 0, err
	}
	if len(content) != 8 {
		return 0, errDamaged
	}
	return binary.LittleEndian.Uint64(content), nil
}

// readEntry puts the two records of a binding together.
func readEntry(id uint64, fixedRecord, varyingRecord []byte) (location.Entry, error) {
	var key [keySize]byte
	content, err := unseal(appendKey(key[:0], fixedKind, id), fixedRecord)
	if err != nil {
		return location.Entry{}, err
	}
	v, err := readVarying(appendKey(key[:0], varyingKind, id), varyingRecord)
	if err != nil {
		return location.Entry{}, err
	}
	if v.fixed != binary.LittleEndian.Uint32(fixedRecord) {
		return location.Entry{}, errDamaged // one of them is older than the other
	}
	user, rest, ok := location.CutText(string(content))
	if !ok {
		return location.Entry{}, errDamaged
	}
	domain, rest, ok := location.CutText(rest)
	if !ok {
		return location.Entry{}, errDamaged
	}
	if isOlder(fixedRecord) {
		if rest, ok = location.FromVersion1(rest); !ok {
			return location.Entry{}, errDamaged
		}
	}
	r := location.Record{ID: id, Expires: v.expires, Changed: v.changed, CSeq: v.cseq, Fixed: rest}
	binding, ok := r.Binding()
	if !ok {
		return location.Entry{}, errDamaged
	}
	if isOlder(fixedRecord) && binding.Transport != "UDP" {
		binding.Stream = location.EarlierStream
	}
	return location.Entry{AOR: sipuri.AOR{User: user, Domain: domain}, Binding: binding}, nil
}
