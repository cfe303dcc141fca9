package shared

import (
	"testing"
	"time"
)

// Two live nodes of one name see each other within seconds, with no phone about. Nodes of
// other names do not, nor does one that comes after another.
func TestTwins(t *testing.T) {
	redis := startServer(t)
	one, _ := open(t, redis.url(), "one")
	two, _ := open(t, redis.url(), "two")
	last, err := Open(Options{URL: redis.url(), Node: "two", Observer: &watcher{}, Timeout: calm})
	if err != nil {
		t.Fatal(err)
	}
	for _, twin := range []*Store{two, last} {
		eventually(t, "a twin is seen", twin.HasTwin)
	}
	_ = last.Close()
	time.Sleep(2 * healthyInterval) // in which what it wrote last is read
	two.HasTwin()
	time.Sleep(3 * healthyInterval)
	if one.HasTwin() || two.HasTwin() {
		t.Error("a twin is seen that there is not")
	}
}
