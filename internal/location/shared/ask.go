package shared

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

var (
	errSlow    = errors.New("no answer from Redis in time")
	errStarted = errors.New("nothing was heard of Redis yet")
)

// deadlineOf returns the deadline of an operation that begins now. Where another one has
// failed and it is not known yet whether the shard is there, it is a closer one: who asks
// may have waited for that other one too.
func (s *Store) deadlineOf(sh *shard, now time.Time) context.Context {
	if sh.suspect.Load() {
		return s.closer.next(now)
	}
	return s.deadlines.next(now)
}

// ask runs the first script. It is never run again where it failed: it may have been done.
func (s *Store) ask(ctx context.Context, key string, arguments []string) (reply, error) {
	s.operations.Add(1)
	began := time.Now()
	client := s.client.Load()
	if client == nil {
		return reply{}, errStarted
	}
	r, err := readReply(s.scripts.update.Exec(ctx, *client, []string{key}, arguments))
	if err != nil {
		s.fail(key, began, causeOf(ctx, err))
		return reply{}, err
	}
	if r.skipped > 0 {
		s.observer.Trouble(fmt.Errorf("%w: %d in the hash of an AOR", errRecord, r.skipped))
	}
	return r, nil
}

// causeOf returns why an operation failed.
func causeOf(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return context.Cause(ctx)
	}
	return err
}

// isOfKey tells whether an error is about what stands under a key: of whatever else
// Redis complains, it cannot do its work just now.
func isOfKey(err error) bool {
	answer, answered := rueidis.IsRedisErr(err)
	if !answered {
		return errors.Is(err, errReply) || rueidis.IsParseErr(err)
	}
	return strings.Contains(answer.Error(), "WRONGTYPE") // older versions have it in the midst of the text
}
