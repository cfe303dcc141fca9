package admin

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// A queue against a list: what is taken is what has not made room, in its order, and
// neither the queue nor a post goes beyond its bounds.
func TestPostQueueAgainstAModel(t *testing.T) {
	event := bytes.Repeat([]byte("x"), queueBytes/4)
	rapid.Check(t, func(t *rapid.T) {
		q := newPostQueue()
		var model []json.RawMessage
		var lost uint64
		add := func(e json.RawMessage) {
			model = append(model, e)
			dropped := q.add(e)
			model, lost = model[dropped:], lost+dropped
		}
		t.Repeat(map[string]func(*rapid.T){
			"large": func(t *rapid.T) { add(event[:rapid.IntRange(1, len(event)).Draw(t, "bytes")]) },
			"many": func(t *rapid.T) {
				for range rapid.IntRange(1, queueEvents).Draw(t, "events") {
					add(event[:1])
				}
			},
			"lose": func(t *rapid.T) {
				q.lose(5)
				lost += 5
			},
			"take": func(t *rapid.T) {
				if len(model) == 0 {
					t.Skip("nothing to take")
				}
				b, more := q.take(t.Context())
				if count := len(b.Events); !more || count == 0 || !reflect.DeepEqual(b.Events, model[:count]) || b.Dropped != lost {
					t.Fatalf("%d events, %d dropped of %d", count, b.Dropped, lost)
				}
				if size := sum(b.Events); len(b.Events) > postEvents || size > postBytes && len(b.Events) > 1 {
					t.Fatalf("%d events of %d bytes in a post", len(b.Events), size)
				}
				model, lost = model[len(b.Events):], 0
			},
			"": func(t *rapid.T) {
				if q.count() != len(model) || q.bytes != sum(model) || q.bytes > queueBytes || len(model) > queueEvents {
					t.Fatalf("%d events of %d bytes, want %d of %d", q.count(), q.bytes, len(model), sum(model))
				}
			},
		})
	})
}

func sum(events []json.RawMessage) (bytes int) {
	for _, event := range events {
		bytes += len(event)
	}
	return bytes
}

func TestPostQueueEnds(t *testing.T) {
	q := newPostQueue()
	q.add(json.RawMessage("1"))
	q.end()
	if b, more := q.take(t.Context()); !more || len(b.Events) != 1 {
		t.Errorf("%v %+v", more, b)
	}
	if _, more := q.take(t.Context()); more {
		t.Error("more after the end")
	}
}
