-- set_lead: note how far this server's clock is ahead of the time that replicas go by, unless another one just did.
-- KEYS[1] clock   hash: lead_ms, lead_since_ms, seen_ms, machine_ahead_ms
-- ARGV[1] known_since_ms  lead_since_ms as it was read, "0" for none
-- ARGV[2] lead_ms   ARGV[3] lead_since_ms  now, by this server's clock   ARGV[4] keep_ms
-- returns 1 when it was noted, 0 when another one is there.
local clock, known_since_ms, lead_ms, lead_since_ms, keep_ms = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]

if (redis.call('HGET', clock, 'lead_since_ms') or '0') ~= known_since_ms then
  return 0
end
redis.call('HDEL', clock, '') -- takes no memory: see REFUSED_WHEN_FULL
redis.call('HSET', clock, 'lead_ms', lead_ms, 'lead_since_ms', lead_since_ms)
redis.call('PEXPIRE', clock, keep_ms)
return 1
