package shared

import (
	"context"
	"strconv"
	"sync/atomic"
	"time"
)

// twinMemory is how long Redis remembers who had a node's name last: for the looks of some
// seconds.
const twinMemory = 5 * time.Second

// twins is what shows that another node has the name of this one.
type twins struct {
	life    uint64 // a number of this node's alone
	written bool   // it stands in Redis, unless a twin has written its own
	seen    atomic.Bool
}

// lookForTwin writes down that this node is there, and sees whether another one of its name
// has done so since it did that last. What an earlier life has left is no sign of one.
func (s *Store) lookForTwin() {
	client := s.client.Load()
	if client == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	key, own := "k:node:"+s.node, strconv.FormatUint(s.twins.life, serialBase)
	b := (*client).B()
	results := (*client).DoMulti(ctx, b.Get().Key(key).Build(), b.Set().Key(key).Value(own).PxMilliseconds(twinMemory.Milliseconds()).Build())
	if last, err := results[0].ToString(); err == nil && last != own && s.twins.written {
		s.twins.seen.Store(true)
	}
	s.twins.written = results[1].Error() == nil
}

// HasTwin tells whether another node has shown since it was last asked that it has the name
// of this one.
func (s *Store) HasTwin() bool { return s.twins.seen.Swap(false) }
