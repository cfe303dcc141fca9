package main

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestCountsOfRedis(t *testing.T) {
	all := map[string]string{"total_net_input_bytes": "700", "total_net_output_bytes": "90", "used_memory": "4096",
		"cmdstat_evalsha": "calls=41,usec=900,usec_per_call=21.95", "cmdstat_eval": "calls=1,usec=50", "cmdstat_hset": "calls=41,usec=90"}
	without := func(name, value string) map[string]string {
		some := map[string]string{name: value}
		for other := range all {
			if _, changed := some[other]; !changed {
				some[other] = all[other]
			}
		}
		return some
	}
	for _, test := range []struct {
		name string
		info map[string]string
		want redisCounts
		err  string
	}{
		{"scripts alone are round trips", all, redisCounts{trips: 42, in: 700, out: 90, memory: 4096}, ""},
		{"no script was run", without("cmdstat_evalsha", ""), redisCounts{trips: 1, in: 700, out: 90, memory: 4096}, ""},
		{"no memory", without("used_memory", ""), redisCounts{}, "used_memory"},
		{"calls that are no number", without("cmdstat_eval", "calls=x,usec=1"), redisCounts{}, "eval"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := readCounts(test.info)
			if expect(t, err, test.err); err == nil && got != test.want {
				t.Errorf("%+v, want %+v", got, test.want)
			}
		})
	}
}

func TestAnswersOfRedis(t *testing.T) {
	for _, test := range []struct{ name, sent, want, err string }{
		{"a status", "+OK\r\n", "OK", ""},
		{"a text", "$7\r\na:1\r\nb:\r\n", "a:1\r\nb:", ""},
		{"an error", "-ERR no such command\r\n", "", "no such command"},
		{"a text cut off", "$7\r\na:1", "", "EOF"},
		{"too long a text", "$99999999\r\n", "", "99999999"},
		{"nothing", "", "", "EOF"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := readAnswer(bufio.NewReader(strings.NewReader(test.sent)))
			if expect(t, err, test.err); err == nil && got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// A real one is started, counts, and writes its log.
func TestRedisIsStartedAndCounts(t *testing.T) {
	if _, err := exec.LookPath(redisServer); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("redis-server is not there (apt-get install redis-server)")
		}
		t.Skip("SKIPPED: redis-server is not there (apt-get install redis-server)")
	}
	directory := t.TempDir()
	b := &benchmark{options: &options{}, starter: starter{ctx: context.Background()}}
	r, err := b.startRedis(directory)
	if err != nil {
		t.Fatal(err)
	}
	defer r.stop()
	before, err := r.counts()
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := r.say(`EVAL "return redis.call('SET',KEYS[1],'v')" 1 k`); err != nil || answer != "OK" {
		t.Fatalf("%q, %v", answer, err)
	}
	after, err := r.counts()
	if since := after.since(before); err != nil || since.trips != 1 || since.in == 0 || since.out == 0 || since.cpu <= 0 {
		t.Errorf("counted %+v, %v", since, err)
	}
	for _, keeps := range []bool{true, false} {
		if err := r.keepLog(context.Background(), keeps); err != nil {
			t.Fatal(err)
		}
		if state, err := r.info("persistence"); err != nil || (state["aof_enabled"] == "1") != keeps {
			t.Errorf("it keeps a log: %q, %v, want %v", state["aof_enabled"], err, keeps)
		}
	}
	if size, err := sizeOf(directory); err != nil || size == 0 {
		t.Errorf("%d bytes of a log, %v", size, err)
	}
}

func TestCostsOfNodesAreForEachRegistration(t *testing.T) {
	r := &nodesRow{row: row{runs: []measurement{{result: result{completed: 1000}, shared: redisCounts{cpu: 30 * time.Millisecond, trips: 2000}}}}}
	if cpu, trips := r.redisCPU().median, r.trips().median; cpu != 30 || trips != 2 {
		t.Errorf("%v µs of Redis and %v round trips, want 30 and 2", cpu, trips)
	}
}
