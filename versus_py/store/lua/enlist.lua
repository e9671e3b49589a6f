-- enlist: add a member to sets, also on a server that is full.
-- KEYS[1] and the rest   sets     ARGV[1] member   ARGV[2] expire_at_ms   of the whole sets; "" leaves that as it is
-- returns 1.
local member, expire_at_ms = ARGV[1], ARGV[2]

for _, set in ipairs(KEYS) do
  redis.call('SREM', set, '') -- takes no memory: see REFUSED_WHEN_FULL
  redis.call('SADD', set, member)
  if expire_at_ms ~= '' then
    redis.call('PEXPIREAT', set, expire_at_ms)
  end
end
return 1
