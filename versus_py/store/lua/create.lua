-- create: write a new incident and arm its timers, unless its dedup key or its id is taken.
-- KEYS[1] incident   hash, the incident
-- KEYS[2] dedup      string, id of the incident that this dedup key names
-- KEYS[3] timers     zset, "<id>|<target>" -> due time in ms
-- KEYS[4] incidents  zset, id -> creation time in ms
-- KEYS[5] pending    zset, id -> when its escalation is due in ms
-- KEYS[6] payload    string, the body that it came with, packed
-- ARGV[1] id   ARGV[2] status   ARGV[3] incident   ARGV[4] its alerts   ARGV[5] created_ms
--                        "-" for those that are stored with the incident
-- ARGV[6] expire_at_ms   when all of it may be forgotten
-- ARGV[7] stale          what the dedup key names though all of that is gone, to be replaced; or ""
-- ARGV[8] owed_at_ms     when its escalation is due; "" when nothing is owed
-- ARGV[9] payload        "" when it is not kept
-- ARGV[10] timer_count   then that many pairs: member, due_ms
-- then delivery_count    then that many pairs: a field, and a delivery: of targets that show it already
-- returns what is there already: what the key names, or the id itself; "" when this one was created.
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

local next_arg = 11
for _ = 1, timer_count do
  redis.call('ZADD', timers, ARGV[next_arg + 1], ARGV[next_arg])
  next_arg = next_arg + 2
end
local delivery_count = tonumber(ARGV[next_arg])
next_arg = next_arg + 1
for _ = 1, delivery_count do
  redis.call('HSET', incident, ARGV[next_arg], ARGV[next_arg + 1])
  next_arg = next_arg + 2
end
return ''
