-- stand: how incidents stand, without what they hold. In one call, as thousands are asked about each time.
-- KEYS[1] and all others   incidents   hash; of one partition, and no more than a call should take
-- returns {status, version, status, version, …} in the order of the keys; '' twice for one that is gone.
local found = {}
for _, incident in ipairs(KEYS) do
  found[#found + 1] = redis.call('HGET', incident, 'status') or ''
  found[#found + 1] = redis.call('HGET', incident, 'version') or ''
end
return found
