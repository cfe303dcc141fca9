package config

import (
	"cmp"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"sipregd/internal/inifile"
	"sipregd/internal/sipuri"
)

// redisURL reads where Redis is. None of its faults repeats the URL, which may hold a
// password. What is taken here shared.Open takes, but for files that cannot be read.
func redisURL(target *string, directory string) func(string) *inifile.Fault {
	return func(value string) *inifile.Fault {
		u, err := url.Parse(value)
		if fault := checkRedisURL(u, err); fault != nil {
			return fault
		}
		*target = resolveRedis(u, value, directory)
		return nil
	}
}

// resolveRedis returns the URL with the paths of its files resolved.
func resolveRedis(u *url.URL, value, directory string) string {
	query, changed := u.Query(), false
	for _, name := range [...]string{"ca", "certificate", "private_key"} {
		if given := query.Get(name); given != resolve(given, directory) {
			query.Set(name, resolve(given, directory))
			changed = true
		}
	}
	if !changed {
		return value
	}
	u.RawQuery = query.Encode()
	return u.String()
}

func checkRedisURL(u *url.URL, err error) *inifile.Fault {
	const example = "write one such as redis://127.0.0.1:6379/0"
	switch {
	case err != nil || !slices.Contains([]string{"redis", "rediss", "valkey", "valkeys", "unix"}, u.Scheme) || u.Host == "" && u.Path == "":
		return &inifile.Fault{Cause: "is no URL of a Redis server", Advice: example + "; in a password write # / ? % and blanks as %23 %2F %3F %25 %20"}
	case u.Fragment != "":
		return &inifile.Fault{Cause: "holds a #", Advice: "write # as %23 in a password"}
	case u.Scheme == "unix":
		return checkRedisSocket(u)
	case !areRedisAddresses(strings.Split(u.Host, ",")):
		return &inifile.Fault{Cause: "names no host and port of a Redis server", Advice: example}
	}
	if u.Path != "" && !isDatabase(u.Path[1:]) {
		return &inifile.Fault{Cause: "names no database", Advice: "write its number behind the host, as the 0 in redis://127.0.0.1:6379/0"}
	}
	return checkRedisQuery(u)
}

func checkRedisSocket(u *url.URL) *inifile.Fault {
	if u.Host != "" {
		return &inifile.Fault{Cause: "names a socket without a whole path", Advice: "write three slashes, as in unix:///run/redis/redis.sock"}
	}
	return checkRedisQuery(u)
}

func isDatabase(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}

// database returns the number of the database.
func database(u *url.URL) int {
	number, _ := strconv.Atoi(cmp.Or(u.Query().Get("db"), strings.TrimPrefix(u.Path, "/")))
	return number
}

// checkRedisQuery checks what stands behind the ? of a URL.
func checkRedisQuery(u *url.URL) *inifile.Fault {
	known := []string{"master_set", "addr", "db", "sentinel_username", "sentinel_password", "ca", "certificate", "private_key", "server_name", "skip_verify"}
	ofTLS := []string{"ca", "certificate", "private_key", "server_name", "skip_verify"}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return &inifile.Fault{Cause: "has something behind its ? that is not read", Advice: "write name=value, and & between two"}
	}
	for name, values := range query {
		switch {
		case !slices.Contains(known, name):
			return &inifile.Fault{Cause: "has something behind its ? that is not known", Advice: "known are " + strings.Join(known, ", ")}
		case len(values) > 1 && name != "addr":
			return &inifile.Fault{Cause: "has " + name + " twice behind its ?", Advice: "keep one of the two"}
		case name == "db" && !isDatabase(values[0]):
			return &inifile.Fault{Cause: "has a db that is no number", Advice: "write that of the database, as db=0"}
		case name == "skip_verify" && values[0] != "true" && values[0] != "false":
			return &inifile.Fault{Cause: "has a skip_verify that is neither true nor false", Advice: "write skip_verify=true to take any certificate, or leave it out"}
		case slices.Contains(ofTLS, name) && u.Scheme != "rediss" && u.Scheme != "valkeys":
			return &inifile.Fault{Cause: "has " + name + ", and without TLS that is of no use", Advice: "write rediss:// in front, or leave " + name + " out"}
		case name == "addr" && !areRedisAddresses(values):
			return &inifile.Fault{Cause: "has an addr that is no host and port", Advice: "write each as addr=10.0.0.6:6379"}
		case name == "master_set" && values[0] == "":
			return &inifile.Fault{Cause: "has an empty master_set", Advice: "write the name that the Sentinels know it by, as master_set=mymaster"}
		}
	}
	if several := strings.Contains(u.Host, ",") || query.Has("addr"); several && !query.Has("master_set") && database(u) > 0 {
		return &inifile.Fault{Cause: "names a Cluster and another database than 0, and a Cluster has no other", Advice: "leave the number behind the hosts out"}
	}
	if !query.Has("master_set") && (query.Has("sentinel_username") || query.Has("sentinel_password")) {
		return &inifile.Fault{Cause: "has a name or password for Sentinels, and no master_set", Advice: "write the name that the Sentinels know the master by, as master_set=mymaster"}
	}
	if query.Has("certificate") != query.Has("private_key") {
		return &inifile.Fault{Cause: "has one of certificate and private_key alone", Advice: "write both, or none"}
	}
	return nil
}

func areRedisAddresses(list []string) bool {
	return !slices.ContainsFunc(list, func(text string) bool { return !isRedisAddress(text) })
}

// isRedisAddress takes host and host:port.
func isRedisAddress(text string) bool {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host, port = strings.Trim(text, "[]"), "6379"
	}
	_, portErr := sipuri.ParsePort(port)
	return portErr == nil && host != "" && (sipuri.IsHost(host) || net.ParseIP(host) != nil)
}
