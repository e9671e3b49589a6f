-- end_storm: a storm is over, unless another incident has joined meanwhile.
-- KEYS[1] current   string, the id of the channel's storm
-- KEYS[2] storm     hash, see change_storm
-- ARGV[1] storm_id  ARGV[2] joined_ms, when the last one had joined   ARGV[3] now_ms
-- returns 1 when this ended it, 0 when it goes on, or was over before.
local current, storm = KEYS[1], KEYS[2]
local storm_id, joined_ms, now_ms = ARGV[1], ARGV[2], ARGV[3]

if redis.call('HGET', storm, 'joined_ms') ~= joined_ms or redis.call('HSETNX', storm, 'ended_ms', now_ms) == 0 then
  return 0
end
redis.call('HINCRBY', storm, 'changes', 1)
if redis.call('GET', current) == storm_id then
  redis.call('DEL', current)
end
return 1
