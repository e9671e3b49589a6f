-- end_storm: a storm is over, unless another incident has joined meanwhile; or its message cannot be posted.
-- KEYS[1] current   string, the id of the channel's storm
-- KEYS[2] storm     hash, see change_storm
-- ARGV[1] storm_id  ARGV[2] joined_ms, when the last one had joined; "" when that does not matter   ARGV[3] now_ms
-- ARGV[4] refused   why there can be no message; "" when it is just over
-- returns 1 when this changed something, else 0: it goes on, or was over before.
local current, storm = KEYS[1], KEYS[2]
local storm_id, joined_ms, now_ms, refused = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local last_joined_ms = redis.call('HGET', storm, 'joined_ms')
if not last_joined_ms or (joined_ms ~= '' and joined_ms ~= last_joined_ms) then
  return 0
end
redis.call('HDEL', storm, '') -- takes no memory: see REFUSED_WHEN_FULL
local has_ended = redis.call('HSETNX', storm, 'ended_ms', now_ms)
if refused ~= '' then
  has_ended = redis.call('HSETNX', storm, 'refused', refused)
end
if has_ended == 0 then
  return 0
end
redis.call('HINCRBY', storm, 'changes', 1)
if redis.call('GET', current) == storm_id then
  redis.call('DEL', current)
end
return 1
