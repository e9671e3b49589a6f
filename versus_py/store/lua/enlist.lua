-- enlist: add a member to a set, also on a server that is full.
-- KEYS[1] set     ARGV[1] member   ARGV[2] expire_at_ms   of the whole set; "" leaves that as it is
-- returns 1.
local set = KEYS[1]
local member, expire_at_ms = ARGV[1], ARGV[2]

redis.call('SREM', set, '') -- takes no memory: see REFUSED_WHEN_FULL
redis.call('SADD', set, member)
if expire_at_ms ~= '' then
  redis.call('PEXPIREAT', set, expire_at_ms)
end
return 1
