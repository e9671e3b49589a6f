-- trim: take incidents that are gone off an index.
-- KEYS[1] index   zset, members of any kind   the rest   the incident (hash) of each member
-- ARGV            the members
-- returns how many were taken off.
-- In one step with the look: an incident that returns meanwhile, as after a failover, stays listed.
local index = KEYS[1]

local gone = 0
for i, member in ipairs(ARGV) do
  if redis.call('EXISTS', KEYS[i + 1]) == 0 then
    gone = gone + redis.call('ZREM', index, member)
  end
end
return gone
