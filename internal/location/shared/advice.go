package shared

import (
	"context"
	"errors"
	"net"
	"strings"
)

// Advice says what to do about why Redis is away, or does not what it is asked.
func Advice(cause error) string {
	var network net.Error
	if errors.Is(cause, errSlow) || errors.Is(cause, context.DeadlineExceeded) || errors.As(cause, &network) && network.Timeout() {
		return "see whether it runs, what it waits for (SLOWLOG, its disk), and whether it speaks TLS there just where [location] redis begins with rediss"
	}
	text := cause.Error()
	for _, known := range [...]struct{ sign, advice string }{
		{"WRONGPASS", "write the right name and password into [location] redis and restart, or make that account in Redis, which forgets it at its restart unless redis.conf has it"},
		{"NOAUTH", "write the name and password of its account into [location] redis, as in redis://name:password@host, and restart"},
		{"NOPERM", advisesRights}, {"can't run this command", advisesRights}, {"can't access at least one of the keys", advisesRights},
		{"OOM", "raise maxmemory in redis.conf, or use a Cluster"},
		{"READONLY", "that is a replica: name its master in [location] redis, or the Sentinels that know it, and restart"},
		{"MISCONF", "Redis cannot save to its disk: make room there, and see its log"},
		{"LOADING", "nothing is to be done: Redis reads what it had saved, and is there by itself"},
		{"CLUSTERDOWN", "start the masters that are missing: redis-cli cluster nodes names them"},
		{"unknown command 'SENTINEL'", "that is no Sentinel: name Sentinels in [location] redis, or leave master_set out, and restart"},
		{"No such master", "write the name as the Sentinels know it as master_set in [location] redis and restart"},
		{"certificate is valid for", "write the name that the certificate of Redis has as server_name into [location] redis and restart"},
		{"certificate has expired", "renew the certificate of Redis, or set the clock of this machine"},
		{"certificate required", "write certificate and private_key into [location] redis, PEM files of who Redis trusts, and restart"},
		{"cluster support disabled", "that is no Cluster: name one server in [location] redis, or Sentinels and master_set, and restart"},
		{"DB index is out of range", "write the number of a database that there is into [location] redis, as 0, and restart"},
		{"without any password configured", "leave the password out of [location] redis and restart, or give that account in Redis one"},
		{"certificate", "see who has signed the certificate of Redis, and name that as ca in [location] redis"},
		{"no such host", "write a host that there is into [location] redis, or mend DNS"},
		{"connection refused", "start Redis there, or write where it is into [location] redis and restart"},
	} {
		if strings.Contains(text, known.sign) {
			return known.advice
		}
	}
	return "see its log, and the network between"
}

const advisesRights = `give its account in Redis the rights that README, "Many machines", lists`
