-- take_probe: allow one replica one request with credentials that a system refuses.
-- KEYS[1] refused    hash: next_probe_ms, accepted_ms (when a replica's credentials were accepted again)
-- ARGV[1] now_ms     ARGV[2] until_ms    when the next probe is, should this one say nothing
-- ARGV[3] tried_ms   when this replica last sent something
-- returns "" when the probe is the caller's; else the time of the next one, ms.
local refused = KEYS[1]
local now_ms, until_ms, tried_ms = ARGV[1], ARGV[2], ARGV[3]

local next_ms = redis.call('HGET', refused, 'next_probe_ms') or '0'
local accepted_ms = redis.call('HGET', refused, 'accepted_ms') or '0'
if tonumber(next_ms) <= tonumber(now_ms) or tonumber(accepted_ms) > tonumber(tried_ms) then
  redis.call('HDEL', refused, '') -- takes no memory: see REFUSED_WHEN_FULL
  redis.call('HSET', refused, 'next_probe_ms', until_ms)
  return ''
end
return next_ms
