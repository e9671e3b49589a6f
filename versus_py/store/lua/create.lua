-- create: write a new incident and arm its timers, unless its dedup key or its id is taken, or another name leads to
-- what is there. Other names are in other partitions: of a cluster, none can be given here.
-- KEYS[1] incident   hash, the incident
-- KEYS[2] dedup      string, id of the incident that this dedup key names
-- KEYS[3] timers     zset, "<id>|<target>" -> due time in ms
-- KEYS[4] incidents  zset, id -> creation time in ms
-- KEYS[5] pending    zset, id -> when its escalation is due in ms
-- KEYS[6] payload    string, the body that it came with, packed
-- the others on one server only, where all of them are, or none:
-- KEYS[7] events     stream, see keys: what changed
-- then other_count   keys that lead to what is there if they exist: strings, hashes, sets
-- the rest           for each alert, its bucket: hash, alert -> ids of incidents with a space between
-- ARGV[1] id   ARGV[2] status   ARGV[3] incident   ARGV[4] its alerts   ARGV[5] created_ms
--                        "-" for those that are stored with the incident
-- ARGV[6] expire_at_ms   when all of it may be forgotten
-- ARGV[7] stale          what the dedup key names though all of that is gone, to be replaced; or ""
-- ARGV[8] owed_at_ms     when its escalation is due; "" when nothing is owed
-- ARGV[9] payload        "" when it is not kept
-- ARGV[10] timer_count   then that many pairs: member, due_ms
-- then delivery_count    then that many pairs: a field, and a delivery: of targets that show it already
-- then, with these keys, events_max, about as many events are kept; due_ms, when the first timer is due; other_count;
--                        named_count; now_ms by the server's clock; and for each alert its field in the bucket: of
--                        all, an incident may not be named yet; the first named_count name this one from now on
-- returns what is there already: what the key names, the id itself, or "?" for what another name leads to; "" when this
-- one was created.
-- An id that exists without its dedup key was resolved a while ago: the key names it again when it is reopened.
local incident, dedup, timers, incidents, pending, payload_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local id, status, text, alerts, created_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local expire_at_ms, stale, owed_at_ms, payload, timer_count = ARGV[6], ARGV[7], ARGV[8], ARGV[9], tonumber(ARGV[10])

local named = redis.call('GET', dedup)
if named and named ~= stale then
  return named
end
if redis.call('EXISTS', incident) == 1 then
  return id
end

local SPARE_MS = 3600000 -- as in index_alerts
local delivery_at = 11 + 2 * timer_count
local delivery_count = tonumber(ARGV[delivery_at])
local more_at = delivery_at + 2 * delivery_count
local events, events_max, due_ms = KEYS[7], ARGV[more_at + 1], ARGV[more_at + 2]
local other_count, named_count = tonumber(ARGV[more_at + 3] or 0), tonumber(ARGV[more_at + 4] or 0)
local now_ms, buckets_at, fields_at = tonumber(ARGV[more_at + 5]), 7 + other_count, more_at + 5
for i = 8, buckets_at do
  if redis.call('EXISTS', KEYS[i]) == 1 then
    return '?'
  end
end
for i = 1, #KEYS - buckets_at do
  if redis.call('HEXISTS', KEYS[buckets_at + i], ARGV[fields_at + i]) == 1 then
    return '?'
  end
end

redis.call('SET', dedup, id, 'PXAT', expire_at_ms)
redis.call('HSET', incident, 'version', 1, 'status', status, 'incident', text)
if alerts ~= '-' then
  redis.call('HSET', incident, 'alerts', alerts)
end
redis.call('PEXPIREAT', incident, expire_at_ms)
if payload ~= '' then
  redis.call('SET', payload_key, payload, 'PXAT', expire_at_ms)
end
redis.call('ZADD', incidents, created_ms, id)
if owed_at_ms ~= '' then
  redis.call('ZADD', pending, owed_at_ms, id)
end

for i = 11, delivery_at - 1, 2 do
  redis.call('ZADD', timers, ARGV[i + 1], ARGV[i])
end
for i = delivery_at + 1, more_at, 2 do
  redis.call('HSET', incident, ARGV[i], ARGV[i + 1])
end
for i = 1, named_count do
  local bucket = KEYS[buckets_at + i]
  redis.call('HSET', bucket, ARGV[fields_at + i], id)
  if now_ms + redis.call('PTTL', bucket) < tonumber(expire_at_ms) then
    redis.call('PEXPIREAT', bucket, tonumber(expire_at_ms) + SPARE_MS)
  end
end
if events then
  redis.call('XTRIM', events, 'MAXLEN', '~', events_max)
  redis.call('XADD', events, '*', 'incident', id, 'due', due_ms)
end
return ''
