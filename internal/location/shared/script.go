package shared

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"sipregd/internal/location"
)

// The first of the scripts does all that happens to an AOR. KEYS[1] is its hash.
//
//	ARGV[1]  version that the hash has to have, empty: it has no bindings
//	ARGV[2]  serial of the next version, empty: the bindings are confirmed alone
//	ARGV[3]  how many bindings there will be
//	ARGV[4]  when the last of those expires that stay as they are (ms), 0: there are none
//	ARGV[5]  number of the nonce that proved the request, empty: none did
//	ARGV[6]  when it was issued,  ARGV[7] count,  ARGV[8] ms for which its use is to be remembered
//	ARGV[9…] for each change: ID, record, and in how many ms it expires; of one that goes
//	         the ID and twice nothing
//
// It returns "now version"; or, where the version is another one, {now, HGETALL} and
// changes nothing; or 0 where the credentials were used before.
const (
	updateText = `
local key, t = KEYS[1], redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local h = redis.call('HMGET', key, 'v', 'r')
local v, r = h[1] or '', h[2]
if v ~= ARGV[1] then return {now, redis.call('HGETALL', key)} end
local text = string.format -- with %d it is quicker by far than what else makes texts of numbers
local keep, forgotten, uses = 0, '0', ''
if r then
  local till, floor, rest = string.match(r, '^(%d+) (%d+)(.*)$')
  till = tonumber(till) or 0
  if till >= now then keep, forgotten, uses = till, floor, rest end
end
local number = ARGV[5]
if number ~= '' then
  keep = now + ARGV[8]
  local use = ' ' .. number .. ':' .. ARGV[6] .. ':'
  local at, last = string.find(uses, use, 1, true)
  if at then
    local count = string.match(uses, '^%d*', last + 1)
    if (tonumber(count) or 0) >= tonumber(ARGV[7]) then return 0 end
    uses = string.sub(uses, 1, at - 1) .. string.sub(uses, last + 1 + #count)
  elseif forgotten ~= '0' and tonumber(ARGV[6]) <= tonumber(forgotten) then
    return 0
  end
  uses = uses .. use .. ARGV[7]
  while #uses > 230 do -- about eight: the one used the longest ago goes
    local issued, rest = string.match(uses, '^ %w+:(%d+):%d+()')
    if #issued > #forgotten or #issued == #forgotten and issued > forgotten then forgotten = issued end
    uses = string.sub(uses, rest)
  end
  r = text('%d ', keep) .. forgotten .. uses
end
if ARGV[2] == '' then
  if number ~= '' then
    redis.call('HSET', key, 'r', r)
    if redis.call('PTTL', key) < keep - now then redis.call('PEXPIREAT', key, text('%d', keep)) end
  end
  return text('%d ', now) .. v
end
local micros = t[1] .. text('%06d', t[2])
local before = string.match(v, '^%d+')
if before and (#before > #micros or #before == #micros and before >= micros) then
  micros = text('%d', before + 1)
end
v = micros .. '-' .. ARGV[2]
local last = tonumber(ARGV[4])
local fields, gone = {'v', v}, nil
if number ~= '' then fields[3], fields[4] = 'r', r end
for k = 9, #ARGV, 3 do
  if ARGV[k + 2] == '' then
    gone = gone or {}
    gone[#gone + 1] = ARGV[k]
  else
    local expires = now + ARGV[k + 2]
    if expires > last then last = expires end
    fields[#fields + 1] = ARGV[k]
    fields[#fields + 1] = text('%d ', expires) .. ARGV[k + 1]
  end
end
if ARGV[3] ~= '0' then
  if gone then redis.call('HDEL', key, unpack(gone)) end
  redis.call('HSET', key, unpack(fields))
  redis.call('PEXPIREAT', key, text('%d', math.max(last + 30000, keep)))
  return text('%d ', now) .. v
end
redis.call('DEL', key)
if keep > 0 then
  redis.call('HSET', key, 'r', r)
  redis.call('PEXPIREAT', key, text('%d', keep))
end
return text('%d ', now)
`

	// The second one does all that the first does, and what a secret takes, to see whether
	// it may and whether that works, and returns the time.
	probeText = `
local key, t = KEYS[1], redis.call('TIME')
redis.call('SET', key, '') -- first: it takes the place of whatever an attempt that failed has left,
redis.call('GET', key)     -- and once it has written, a script may without memory too
redis.call('DEL', key)
redis.call('HSET', key, 'v', ARGV[1], 'r', '')
redis.call('HDEL', key, 'r')
redis.call('HMGET', key, 'v')
redis.call('HGETALL', key)
redis.call('PEXPIREAT', key, string.format('%d', (t[1] + 10) * 1000))
redis.call('PTTL', key)
return t
`
)

// grace is how long a hash outlives its last binding: updateText says so too.
const grace = 30 * time.Second

// scripts are those above as rueidis runs them: by their hashes.
type scripts struct{ update, probe *rueidis.Lua }

func newScripts() scripts {
	return scripts{rueidis.NewLuaScript(updateText), rueidis.NewLuaScript(probeText)}
}

const (
	fixed   = 8 // arguments before those of changes
	changed = 3 // arguments of each change
)

// neverTheVersion makes updateText return what is there.
const neverTheVersion = "?"

// appendUse appends the arguments for what proved a request.
func appendUse(arguments []string, use *location.Use, lifetime time.Duration) []string {
	if use == nil {
		return append(arguments, "", "", "", "")
	}
	return append(arguments, strconv.FormatUint(use.Number, serialBase), strconv.FormatUint(uint64(use.Issued), 10),
		strconv.FormatUint(uint64(use.Count), 10), strconv.FormatInt(lifetime.Milliseconds(), 10))
}

// reply is what updateText returns.
type reply struct {
	replayed bool
	conflict bool      // nothing was changed
	now      time.Time // of Redis
	version  string    // that the hash has now
	bindings []location.Binding
	skipped  int // fields that are no bindings
}

var errReply = errors.New("an answer from Redis that is none of the script")

func readReply(result rueidis.RedisResult) (r reply, err error) {
	message, err := result.ToMessage()
	if err != nil {
		return reply{}, err
	}
	switch {
	case message.IsInt64():
		return reply{replayed: true}, nil
	case message.IsString():
		return readDone(message)
	case message.IsArray():
		return readConflict(message)
	}
	return reply{}, errReply
}

func readDone(message rueidis.RedisMessage) (reply, error) {
	text, err := message.ToString()
	if err != nil {
		return reply{}, err
	}
	milli, version, _ := strings.Cut(text, " ")
	now, err := strconv.ParseInt(milli, 10, 64)
	if err != nil {
		return reply{}, errReply
	}
	return reply{now: time.UnixMilli(now).UTC(), version: version}, nil
}

func readConflict(message rueidis.RedisMessage) (reply, error) {
	parts, err := message.ToArray()
	if err != nil || len(parts) != 2 {
		return reply{}, errReply
	}
	now, err := parts[0].AsInt64()
	if err != nil {
		return reply{}, err
	}
	fields, err := parts[1].AsStrSlice()
	if err != nil {
		return reply{}, err
	}
	r := reply{conflict: true, now: time.UnixMilli(now).UTC()}
	for i := 0; i+1 < len(fields); i += 2 {
		r.add(fields[i], fields[i+1])
	}
	inOrder(r.bindings)
	return r, nil
}

// add takes one field of a hash.
func (r *reply) add(field, value string) {
	switch field {
	case "v":
		r.version = value
	case "r":
	default:
		b, err := decode(field, value)
		if err != nil {
			r.skipped++
			return
		}
		r.bindings = append(r.bindings, b)
	}
}
