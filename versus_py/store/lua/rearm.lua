-- rearm: have the on-call provider called about an incident that is overdue, and that nobody would come back to.
-- KEYS[1] incident  hash   KEYS[2] pending   zset, id -> when its escalation is due
-- KEYS[3] timers    zset   KEYS[4] running   zset, "<id>|<target>" -> due time, end of its lease
-- ARGV[1] id   ARGV[2] member "<id>|<target>"   ARGV[3] now_ms
-- returns "armed"; "gone" when the incident is forgotten, and is no more on the ledger; "" when nothing is wrong:
-- it has a timer or a claim, or is not due, or nothing is owed.
local incident, pending, timers, running = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, member, now_ms = ARGV[1], ARGV[2], ARGV[3]

local owed_at_ms = redis.call('ZSCORE', pending, id)
if not owed_at_ms or tonumber(owed_at_ms) > tonumber(now_ms) then
  return ''
end
if redis.call('EXISTS', incident) == 0 then
  redis.call('ZREM', pending, id)
  return 'gone'
end
if redis.call('ZSCORE', timers, member) or redis.call('ZSCORE', running, member) then
  return ''
end
redis.call('ZREM', timers, member) -- takes no memory: see REFUSED_WHEN_FULL
redis.call('ZADD', timers, now_ms, member)
return 'armed'
