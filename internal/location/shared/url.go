package shared

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

var errURL = errors.New("no URL of a Redis server")

// passed are the parameters of a URL that rueidis.ParseURL reads.
var passed = []string{"addr", "db", "master_set", "skip_verify"}

// parse reads the URL of a server:
//
//	redis://name:password@host:6379/0      a name is an ACL user's; rediss:// by TLS
//	unix://name:password@/run/redis.sock?db=0
//	redis://host:7000,host2:7000           a Cluster; one that is up is enough
//	redis://:password@host:26379,host2:26379/0?master_set=mymaster
//	                                       Sentinels, and the name of what they watch
//
// Parameters: skip_verify=true takes any certificate; ca, certificate and private_key
// name PEM files; server_name is the name in the certificate where it is not the host;
// sentinel_username and sentinel_password are for the Sentinels. No error repeats the
// URL: it may hold a password.
//
// The least rights of an ACL user are (with +select for another database than 0):
//
//	resetkeys ~b:* ~k:* -@all +evalsha +eval +hmget +hset +hdel +hgetall +del
//	+pexpireat +pttl +time +set +get +scan +role +ping +hello +client|setname
//	+cluster|slots +cluster|shards
func parse(text string) (rueidis.ClientOption, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" && u.Path == "" || u.Scheme == "unix" && u.Host != "" {
		return rueidis.ClientOption{}, errURL
	}
	query := u.Query()
	extra := map[string]string{}
	for name := range query {
		switch name {
		case "ca", "certificate", "private_key", "server_name", "sentinel_username", "sentinel_password":
			extra[name] = query.Get(name)
			query.Del(name)
		default:
			if !slices.Contains(passed, name) {
				return rueidis.ClientOption{}, fmt.Errorf("the URL of the Redis server has an unknown parameter %q", name)
			}
		}
	}
	hosts := strings.Split(u.Host, ",")
	u.Host = hosts[0]
	for _, host := range hosts[1:] {
		query.Add("addr", host)
	}
	u.RawQuery = query.Encode()
	option, err := rueidis.ParseURL(u.String())
	if err != nil {
		return rueidis.ClientOption{}, errURL
	}
	option.Sentinel.Username, option.Sentinel.Password = extra["sentinel_username"], extra["sentinel_password"]
	if option.TLSConfig != nil {
		option.TLSConfig.ServerName = extra["server_name"] // empty: that of the address
		option.Sentinel.TLSConfig = option.TLSConfig
		err = readCertificates(option.TLSConfig, extra["ca"], extra["certificate"], extra["private_key"])
	}
	return option, err
}

func readCertificates(config *tls.Config, ca, certificate, key string) error {
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s holds no certificate", ca)
		}
	}
	if certificate == "" && key == "" {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return err
	}
	config.Certificates = []tls.Certificate{pair}
	return nil
}

// flushDelay is how long what is sent waits for more, unless nothing else is under way:
// it spares a tenth of the processor time of nodes, and some of Redis's.
const flushDelay = 100 * time.Microsecond

// clientOption returns how to reach the server that the URL names, with nothing that
// takes longer than timeout, and no write that is tried again: the first one may have
// been done.
func clientOption(text, node string, timeout time.Duration) (rueidis.ClientOption, error) {
	option, err := parse(text)
	if err != nil {
		return option, err
	}
	option.ClientName = clientName(node)
	option.ConnWriteTimeout = timeout
	option.Dialer = net.Dialer{Timeout: timeout / 2, KeepAlive: timeout}
	option.Sentinel.Dialer = option.Dialer
	option.Sentinel.TopologyRefreshInterval = time.Second
	option.ClusterOption.ShardsRefreshInterval = time.Second
	option.ClusterOption.MaxMovedRedirections = 3
	option.DisableRetry, option.DisableCache = true, true
	option.MaxFlushDelay = flushDelay
	option.ClientSetInfo = rueidis.DisableClientSetInfo // one right less to be given
	return option, nil
}

// clientName returns the name by which CLIENT LIST shows a node: no spaces are allowed.
func clientName(node string) string {
	return "sipregd-" + strings.Map(func(c rune) rune {
		if c <= ' ' || c > '~' {
			return '_'
		}
		return c
	}, node)
}
