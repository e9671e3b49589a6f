-- park: have a timer wait until a system accepts the credentials again, also on a server that is full.
-- KEYS[1] waiting   zset, "<id>|<target>" -> when it is due in any case, ms
-- ARGV[1] member   ARGV[2] due_ms   ARGV[3] expires_in_ms   of the whole set
-- returns 1.
local waiting = KEYS[1]
local member, due_ms, expires_in_ms = ARGV[1], ARGV[2], ARGV[3]

redis.call('ZREM', waiting, '') -- takes no memory: see REFUSED_WHEN_FULL
redis.call('ZADD', waiting, due_ms, member)
redis.call('PEXPIRE', waiting, expires_in_ms)
return 1
