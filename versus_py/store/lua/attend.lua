-- attend: a replica says how it stands, or leaves; and which replicas there are.
-- KEYS[1] replicas       hash, name of a replica -> how it stands (JSON)
-- ARGV[1] expires_in_ms  of the whole hash      ARGV[2] name      ARGV[3] standing   "" when it leaves
-- further ARGV: names of replicas that are long gone, to be forgotten
-- returns all that is known: names and standings in turn.
local replicas = KEYS[1]
local expires_in_ms, name, standing = ARGV[1], ARGV[2], ARGV[3]

redis.call('HDEL', replicas, '') -- takes no memory: see REFUSED_WHEN_FULL
for i = 4, #ARGV do
  redis.call('HDEL', replicas, ARGV[i])
end
if standing == '' then
  redis.call('HDEL', replicas, name)
else
  redis.call('HSET', replicas, name, standing)
  redis.call('PEXPIRE', replicas, expires_in_ms)
end
return redis.call('HGETALL', replicas)
