-- create: write a new incident and arm its timers, unless its dedup key or its id is taken.
-- KEYS[1] incident   hash, the incident
-- KEYS[2] dedup      string, id of the incident that this dedup key names
-- KEYS[3] timers     zset, "<id>|<target>" -> due time in ms
-- KEYS[4] timeline   list, entries as JSON
-- KEYS[5] incidents  zset, id -> creation time in ms
-- KEYS[6] pending    zset, id -> when its escalation is due in ms
-- ARGV[1] id   ARGV[2] status   ARGV[3] incident as JSON   ARGV[4] created_ms
-- ARGV[5] expire_at_ms   when all of it may be forgotten
-- ARGV[6] stale_id       an id under the dedup key whose incident is gone, to be replaced; or ""
-- ARGV[7] owed_at_ms     when its escalation is due; "" when nothing is owed
-- ARGV[8] timer_count    then that many pairs: member, due_ms
-- the rest               timeline entries
-- returns the id of the incident that is there already; "" when this one was created.
-- An id that exists without its dedup key (resolved a while ago) is named by the key again.
local incident, dedup, timers, timeline, incidents, pending = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local id, status, json, created_ms, expire_at_ms, stale_id = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local owed_at_ms, timer_count = ARGV[7], tonumber(ARGV[8])

local named = redis.call('GET', dedup)
if named and named ~= stale_id then
  return named
end

redis.call('SET', dedup, id, 'PXAT', expire_at_ms)
if redis.call('EXISTS', incident) == 1 then
  return id
end

redis.call('HSET', incident, 'version', 1, 'status', status, 'incident', json)
redis.call('PEXPIREAT', incident, expire_at_ms)
redis.call('ZADD', incidents, created_ms, id)
if owed_at_ms ~= '' then
  redis.call('ZADD', pending, owed_at_ms, id)
end

local next_arg = 9
for _ = 1, timer_count do
  redis.call('ZADD', timers, ARGV[next_arg + 1], ARGV[next_arg])
  next_arg = next_arg + 2
end
for i = next_arg, #ARGV do
  redis.call('RPUSH', timeline, ARGV[i])
end
redis.call('PEXPIREAT', timeline, expire_at_ms)
return ''
