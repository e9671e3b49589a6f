-- claim: lease timers to one worker, those that are still due, and read their incidents. What it has claimed before
-- without hearing of it, it claims once more: an answer may get lost.
-- KEYS[1] timers    zset, "<id>|<target>" -> due time in ms
-- KEYS[2] running   zset, "<id>|<target>" -> end of its lease in ms, which is also the claim's token
-- KEYS[3] attempts  hash, "<id>|<target>" -> attempts since the last completed sync
-- KEYS[4] unsent    hash, "<id>|<target>" -> the worker that has claimed it and has sent nothing yet
-- the rest          incident hash of each member, in their order
-- ARGV[1] now_ms   ARGV[2] lease_end_ms   ARGV[3] worker ("" for one that does not look)   the rest: the members
-- returns for each member {attempt, {field, value, …}}; attempt 1 is the first, 0 that it was not claimed.
local timers, running, attempts, unsent = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local now_ms, lease_end_ms, worker = tonumber(ARGV[1]), ARGV[2], ARGV[3]

local function is_had(member) -- by this worker, and not since: this call may have been on its way for long
  local ends_ms = redis.call('ZSCORE', running, member)
  local is_own = ends_ms and worker ~= '' and redis.call('HGET', unsent, member) == worker
  return is_own and tonumber(ends_ms) <= tonumber(lease_end_ms)
end

local reply = {}
for i = 4, #ARGV do
  local member, incident = ARGV[i], KEYS[i + 1]
  local due_ms = redis.call('ZSCORE', timers, member)
  if due_ms and tonumber(due_ms) <= now_ms then
    redis.call('ZREM', timers, member)
    redis.call('ZADD', running, lease_end_ms, member)
    if worker ~= '' then
      redis.call('HSET', unsent, member, worker)
    end
    local attempt = redis.call('HINCRBY', attempts, member, 1)
    reply[#reply + 1] = { attempt, redis.call('HGETALL', incident) }
  elseif is_had(member) then
    redis.call('ZADD', running, lease_end_ms, member)
    reply[#reply + 1] = { tonumber(redis.call('HGET', attempts, member)), redis.call('HGETALL', incident) }
  else
    reply[#reply + 1] = { 0, {} }
  end
end
return reply
