-- leave_storm: count an incident in a storm no more.
-- KEYS[1] storm     hash, see change_storm   KEYS[2] counted   string, the id of the storm that it is counted in
-- ARGV[1] incident_id
-- returns 1; 0 when it was not counted.
local storm, counted = KEYS[1], KEYS[2]
local field = 'member:' .. ARGV[1]

redis.call('DEL', counted)
if redis.call('HDEL', storm, field) == 0 then
  return 0
end
redis.call('HINCRBY', storm, 'changes', 1)
return 1
