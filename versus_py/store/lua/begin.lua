-- begin: from now on, what a claim sends may have its effect; the claim lasts as long as its lease, whatever becomes of
-- its worker.
-- KEYS[1] running   zset, "<id>|<target>" -> end of its lease in ms, which is also the claim's token
-- KEYS[2] unsent    hash, "<id>|<target>" -> the worker that has claimed it and has sent nothing yet
-- ARGV[1] member   ARGV[2] token   the claim
-- returns 1; 0 when it does not hold any more: then nothing may be sent.
local running, unsent = KEYS[1], KEYS[2]
local member, token = ARGV[1], ARGV[2]

if redis.call('ZSCORE', running, member) ~= token then
  return 0
end
redis.call('HDEL', unsent, member)
return 1
