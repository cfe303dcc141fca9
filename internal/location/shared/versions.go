package shared

import (
	"context"
	"slices"
	"time"

	"github.com/redis/rueidis"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// versionsAtOnce is how many hashes are asked for in one pipeline: phones go in between.
const versionsAtOnce = 256

// Versions returns the versions of what AORs are bound to, in their order. One is unlike any
// other ever, and empty where nothing is bound. Nothing is written when a binding expires,
// so that changes none until its node sees to it. It fails where Redis is away.
func (s *Store) Versions(ctx context.Context, aors []sipuri.AOR) ([]string, error) {
	versions := make([]string, 0, len(aors))
	for part := range slices.Chunk(aors, versionsAtOnce) {
		var err error
		if versions, err = s.appendVersions(ctx, versions, part); err != nil {
			return nil, err
		}
	}
	return versions, nil
}

func (s *Store) appendVersions(ctx context.Context, versions []string, aors []sipuri.AOR) ([]string, error) {
	if s.Away() || s.closing.Load() {
		return nil, location.ErrNotDurable
	}
	client := *s.client.Load()
	commands := make(rueidis.Commands, len(aors))
	for i, aor := range aors { // HMGET is a right that scripts need too
		commands[i] = client.B().Hmget().Key(keyOf(aor)).Field("v").Build()
	}
	s.operations.Add(uint64(len(commands)))
	began := time.Now()
	within, cancel := context.WithTimeoutCause(ctx, s.timeout, errSlow)
	defer cancel()
	for i, result := range client.DoMulti(within, commands...) {
		version := ""
		fields, err := result.AsStrSlice()
		switch {
		case err == nil && len(fields) == 1:
			version = fields[0]
		case endOf(ctx) != nil: // it was the caller who would wait no longer
			return nil, endOf(ctx)
		case err != nil && !isOfKey(err):
			s.fail(keyOf(aors[i]), began, causeOf(within, err))
			return nil, location.ErrNotDurable
		}
		versions = append(versions, version)
	}
	return versions, nil
}

// endOf returns why a context has ended. Whoever waits for its time may see that it is over
// before the context itself does.
func endOf(ctx context.Context) error {
	if deadline, has := ctx.Deadline(); has && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}
