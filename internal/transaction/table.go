package transaction

import (
	"slices"
	"sync"
	"time"
)

const (
	timerJ = 32 * time.Second // 64·T1 (RFC 3261 §17.2.2)

	shards = 16 // which keep processors out of each other's way
)

type state uint8

const (
	unknown   state = iota // a new transaction has begun
	trying                 // it is under way
	completed              // it has been answered
	merged                 // the same request came by another way
)

// table holds transactions.
type table struct{ shards [shards]shard }

// shard is a part of the table.
type shard struct {
	mu       sync.Mutex
	underway []underway
	answered answered
}

// underway is a transaction that is being answered right now. There are no more
// of them than messages are handled at once.
type underway struct{ key, tag uint64 }

// newTable returns a table that takes about so many bytes at most.
func newTable(maxBytes int) *table {
	t := &table{}
	for i := range t.shards {
		t.shards[i].answered.maxBytes = maxBytes / shards
	}
	return t
}

func (t *table) shard(id identity) *shard { return &t.shards[id.key%shards] }

// begin looks a request up and, where it is a new one, marks it as under way:
// then end has to follow. Of a completed one it returns a copy of the response.
func (t *table) begin(id identity, now time.Time) (state, []byte) {
	s := t.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if transaction, response, found := s.answered.find(id.key, now); found {
		switch {
		case string(transaction) == string(id.text):
			return completed, append([]byte(nil), response...)
		case id.merges:
			return merged, nil
		}
	}
	if at := s.indexUnderway(id); at >= 0 {
		if s.underway[at].tag == id.tag {
			return trying, nil
		}
		return merged, nil
	}
	s.underway = append(s.underway, underway{id.key, id.tag})
	return unknown, nil
}

// end completes a transaction. Its response is stored where keep says so.
func (t *table) end(id identity, response []byte, keep bool, now time.Time) {
	s := t.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := s.indexUnderway(id); at >= 0 {
		last := len(s.underway) - 1
		s.underway[at] = s.underway[last]
		s.underway = s.underway[:last]
	}
	if keep {
		s.answered.add(id.key, id.text, response, now)
	}
}

// has tells whether there is a transaction, answered or under way.
func (t *table) has(id identity, now time.Time) bool {
	s := t.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := s.indexUnderway(id); at >= 0 && s.underway[at].tag == id.tag {
		return true
	}
	transaction, _, found := s.answered.find(id.key, now)
	return found && string(transaction) == string(id.text)
}

func (s *shard) indexUnderway(id identity) int {
	return slices.IndexFunc(s.underway, func(u underway) bool { return u.key == id.key })
}
