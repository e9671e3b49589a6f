-- renew: keep an incident that is open, and all that belongs to it.
-- KEYS[1] incident  hash   KEYS[2] dedup  string   KEYS[3] timeline  list   KEYS[4] payload  string
-- ARGV[1] id        ARGV[2] expire_at_ms  when all of it may be forgotten
-- returns 1; 0 when it is over or gone, so that nothing is kept any longer.
local incident, dedup, timeline, payload = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, expire_at_ms = ARGV[1], ARGV[2]

local status = redis.call('HGET', incident, 'status')
if not status or status == 'resolved' then
  return 0
end
redis.call('PEXPIREAT', incident, expire_at_ms)
redis.call('PEXPIREAT', timeline, expire_at_ms)
redis.call('PEXPIREAT', payload, expire_at_ms)
local named = redis.call('GET', dedup)
if not named or named == id then
  redis.call('SET', dedup, id, 'PXAT', expire_at_ms)
end
return 1
