-- arm: have a target sync an incident that itself did not change.
-- KEYS[1] incident   hash   KEYS[2] timers  zset   KEYS[3] running   zset   KEYS[4] attempts  hash
-- ARGV[1] member     its timer, "<id>|<target>"    ARGV[2] now_ms
-- returns 1; 0 when the incident is gone.
-- The version moves on, so that a sync that runs now is followed by another. One that backs off goes on doing so.
local incident, timers, running, attempts = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local member, now_ms = ARGV[1], ARGV[2]

if redis.call('EXISTS', incident) == 0 then
  return 0
end
redis.call('ZREM', timers, '') -- takes no memory: see REFUSED_WHEN_FULL
redis.call('HINCRBY', incident, 'version', 1)
if not redis.call('ZSCORE', running, member) and redis.call('HEXISTS', attempts, member) == 0 then
  redis.call('ZADD', timers, now_ms, member)
end
return 1
