-- look: find timers that are due, without claiming them, and take back the leases of workers that are gone.
-- KEYS[1] timers    zset, "<id>|<target>" -> due time in ms
-- KEYS[2] running   zset, "<id>|<target>" -> end of its lease in ms, which is also the claim's token
-- KEYS[3] attempts  hash, "<id>|<target>" -> attempts since the last completed sync
-- KEYS[4] workers   zset, worker -> when it looked last, ms
-- KEYS[5] unsent    hash, "<id>|<target>" -> the worker that has claimed it and has sent nothing yet
-- ARGV[1] now_ms   ARGV[2] from_ms (due no earlier than this; "-inf" for all)
-- ARGV[3] limit    of what is due, earliest first, at most so many are told
-- ARGV[4] worker (who looks; "" for nobody)   ARGV[5] gone_ms (who looked last by then is gone)
-- ARGV[6] keep_ms  how long workers are remembered when nobody looks
-- ARGV[7] ended_by_ms   leases that end by then have ended: now_ms, or less after the time has leapt
-- returns {next_ms, taken_back, member, due_ms, member, due_ms, …}, earliest due first.
-- next_ms is when something else comes due, or a lease ends; "" for never.
-- taken_back is how many leases were: those that have ended without being given back, at most limit in one call, and
-- those of workers that are gone and had sent nothing, which was no attempt.
local timers, running, attempts, workers, unsent = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local now_ms, from_ms, limit = ARGV[1], ARGV[2], ARGV[3]
local worker, gone_ms, keep_ms, ended_by_ms = ARGV[4], ARGV[5], ARGV[6], ARGV[7]

if worker ~= '' then
  redis.call('ZREM', workers, worker) -- takes no memory: see REFUSED_WHEN_FULL
  redis.call('ZADD', workers, now_ms, worker)
  redis.call('PEXPIRE', workers, keep_ms)
end

local taken_back = 0
local gone = {}
for _, name in ipairs(redis.call('ZRANGEBYSCORE', workers, '-inf', gone_ms, 'LIMIT', 0, limit)) do
  gone[name] = true
  redis.call('ZREM', workers, name)
end
if next(gone) then
  local claimed = redis.call('HGETALL', unsent)
  for i = 1, #claimed, 2 do
    local member = claimed[i]
    if gone[claimed[i + 1]] then
      redis.call('HDEL', unsent, member)
      if redis.call('ZREM', running, member) == 1 then
        redis.call('ZADD', timers, now_ms, member)
        if redis.call('HINCRBY', attempts, member, -1) <= 0 then
          redis.call('HDEL', attempts, member)
        end
        taken_back = taken_back + 1
      end
    end
  end
end

for _, member in ipairs(redis.call('ZRANGEBYSCORE', running, '-inf', ended_by_ms, 'LIMIT', 0, limit)) do
  redis.call('ZREM', running, member)
  redis.call('HDEL', unsent, member)
  redis.call('ZADD', timers, now_ms, member)
  taken_back = taken_back + 1
end

local reply = { '', taken_back }
local due = redis.call('ZRANGEBYSCORE', timers, from_ms, now_ms, 'WITHSCORES', 'LIMIT', 0, limit)
for _, text in ipairs(due) do
  reply[#reply + 1] = text
end

local function note_next(next_ms)
  if reply[1] == '' or tonumber(next_ms) < tonumber(reply[1]) then
    reply[1] = next_ms
  end
end
local first_due = redis.call('ZRANGEBYSCORE', timers, '(' .. now_ms, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
if first_due[2] then
  note_next(first_due[2])
end
local first_ended = redis.call('ZRANGEBYSCORE', running, '(' .. ended_by_ms, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
if first_ended[2] then
  note_next(string.format('%.0f', first_ended[2] + now_ms - ended_by_ms))
end
return reply
