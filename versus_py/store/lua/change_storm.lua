-- change_storm: count an incident in a storm, as a new one or as it stands now.
-- KEYS[1] current   string, the id of the channel's storm; none while there is no storm
-- KEYS[2] storm     hash: id, began_ms, joined_ms, ended_ms, tried, ts, changes, shown, and member:<incident id>
-- KEYS[3] counted   string, the id of the storm that the incident is counted in
-- ARGV[1] storm_id  ARGV[2] incident_id  ARGV[3] member as JSON  ARGV[4] now_ms  ARGV[5] expire_at_ms
-- ARGV[6] joins     "1" when it may be new; "0" when only what is there already may change
-- returns the number of the latest change; 0 when it is not in this storm: another one goes on, or it is forgotten.
local current, storm, counted = KEYS[1], KEYS[2], KEYS[3]
local storm_id, incident_id, member, now_ms, expire_at_ms, joins = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local field = 'member:' .. incident_id

redis.call('HDEL', storm, '') -- takes no memory: see REFUSED_WHEN_FULL
local before = redis.call('HGET', storm, field)
if not before then
  local named = redis.call('GET', current)
  if joins == '0' or (named and named ~= storm_id) or redis.call('HEXISTS', storm, 'ended_ms') == 1 then
    return 0
  end
  redis.call('SET', current, storm_id, 'PXAT', expire_at_ms)
  redis.call('HSETNX', storm, 'id', storm_id)
  redis.call('HSETNX', storm, 'began_ms', now_ms)
  redis.call('HSET', storm, 'joined_ms', now_ms)
  redis.call('SET', counted, storm_id)
end

if before ~= member then
  redis.call('HSET', storm, field, member)
  redis.call('HINCRBY', storm, 'changes', 1)
end
redis.call('PEXPIREAT', storm, expire_at_ms)
redis.call('PEXPIREAT', counted, expire_at_ms)
return tonumber(redis.call('HGET', storm, 'changes'))
