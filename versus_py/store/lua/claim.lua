-- claim: take back expired leases, and lease timers that are due to one worker.
-- KEYS[1] timers    zset, "<id>|<target>" -> due time in ms
-- KEYS[2] running   zset, "<id>|<target>" -> end of its lease in ms, which is also the claim's token
-- KEYS[3] attempts  hash, "<id>|<target>" -> attempts since the last completed sync
-- ARGV[1] now_ms   ARGV[2] lease_end_ms   ARGV[3] limit (most timers per call)
-- returns {next_ms, expired, member, attempt, member, attempt, …}, earliest due first; attempt 1 is the first.
-- next_ms is when there is something to do again: the next due time or the next end of a lease; "" for never.
-- expired is how many leases have ended without being given back.
local timers, running, attempts = KEYS[1], KEYS[2], KEYS[3]
local now_ms, lease_end_ms, limit = ARGV[1], ARGV[2], tonumber(ARGV[3])

local expired = redis.call('ZRANGEBYSCORE', running, '-inf', now_ms, 'WITHSCORES', 'LIMIT', 0, limit)
for i = 1, #expired, 2 do
  redis.call('ZREM', running, expired[i])
  redis.call('ZADD', timers, expired[i + 1], expired[i])
end

local reply = { '', #expired / 2 }
local due = redis.call('ZRANGEBYSCORE', timers, '-inf', now_ms, 'LIMIT', 0, limit)
for _, member in ipairs(due) do
  redis.call('ZREM', timers, member)
  redis.call('ZADD', running, lease_end_ms, member)
  reply[#reply + 1] = member
  reply[#reply + 1] = tostring(redis.call('HINCRBY', attempts, member, 1))
end

for _, set in ipairs({ timers, running }) do
  local first = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')
  if first[2] and (reply[1] == '' or tonumber(first[2]) < tonumber(reply[1])) then
    reply[1] = first[2]
  end
end
return reply
