package shared

import (
	"errors"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"sipregd/internal/location"
)

// Claim takes down a use of a nonce under a key of its own. It fails with
// location.ErrReplayed where that was done before, on whatever node, and with
// location.ErrNotDurable where Redis does not answer in time. That counts rise each node
// sees to by itself: this one use is good once.
func (s *Store) Claim(use location.Use) error {
	began, key := time.Now(), useKey(use)
	shard := s.shardOf(key)
	if shard.away.Load() {
		return location.ErrNotDurable
	}
	ctx, client := s.deadlineOf(shard, began), *s.client.Load()
	s.operations.Add(1)
	put := client.Do(ctx, client.B().Set().Key(key).Value("").Nx().PxMilliseconds(s.lifetime.Milliseconds()).Build())
	switch err := put.Error(); {
	case rueidis.IsRedisNil(err):
		s.replayed.Add(1)
		return location.ErrReplayed
	case err != nil:
		s.fail(key, began, causeOf(ctx, err))
		return errors.Join(location.ErrNotDurable, err)
	}
	return nil
}

// useKey has a tag for Redis Cluster, as the keys of AORs have.
func useKey(use location.Use) string {
	return "k:use:{" + strconv.FormatUint(use.Number, serialBase) + "-" + strconv.FormatUint(uint64(use.Issued), serialBase) +
		"-" + strconv.FormatUint(uint64(use.Count), serialBase) + "}"
}
