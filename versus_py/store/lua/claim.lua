-- claim: take back expired leases, and lease timers that are due to one worker.
-- KEYS[1] timers    zset, "<id>|<target>" -> due time in ms
-- KEYS[2] running   zset, "<id>|<target>" -> end of its lease in ms, which is also the claim's token
-- KEYS[3] attempts  hash, "<id>|<target>" -> attempts since the last completed sync
-- ARGV[1] now_ms   ARGV[2] lease_end_ms   ARGV[3] limit (most timers per call)
-- ARGV[4] ended_by_ms   leases that end by then have ended: now_ms, or less after the time has leapt
-- returns {next_ms, expired, member, attempt, member, attempt, …}, earliest due first; attempt 1 is the first.
-- next_ms is when there is something to do again: the next due time or the next end of a lease; "" for never.
-- expired is how many leases have ended without being given back.
local timers, running, attempts = KEYS[1], KEYS[2], KEYS[3]
local now_ms, lease_end_ms, limit, ended_by_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]

local expired = redis.call('ZRANGEBYSCORE', running, '-inf', ended_by_ms, 'WITHSCORES', 'LIMIT', 0, limit)
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

local function note_next(next_ms)
  if reply[1] == '' or tonumber(next_ms) < tonumber(reply[1]) then
    reply[1] = next_ms
  end
end
local first_due = redis.call('ZRANGE', timers, 0, 0, 'WITHSCORES')
if first_due[2] then
  note_next(first_due[2])
end
local first_ended = redis.call('ZRANGE', running, 0, 0, 'WITHSCORES')
if first_ended[2] then
  note_next(string.format('%.0f', first_ended[2] + now_ms - ended_by_ms))
end
return reply
