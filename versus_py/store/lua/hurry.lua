-- hurry: make a timer due at once that waits for a known time.
-- KEYS[1] timers   zset, "<id>|<target>" -> due time in ms
-- ARGV[1] member   ARGV[2] due_ms   what it waits for   ARGV[3] now_ms
-- returns 1; 0 when it has another time by now, or none: then it is left alone.
local timers = KEYS[1]
local member, due_ms, now_ms = ARGV[1], ARGV[2], ARGV[3]

if redis.call('ZSCORE', timers, member) ~= due_ms then
  return 0
end
redis.call('ZREM', timers, '') -- takes no memory: see REFUSED_WHEN_FULL
redis.call('ZADD', timers, now_ms, member)
return 1
