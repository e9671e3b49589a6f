-- note_storm: write down what came of a storm's message, and keep the storm.
-- KEYS[1] storm         hash, see change_storm
-- ARGV[1] expire_at_ms  then pairs: field, value
-- returns 1.
local storm, expire_at_ms = KEYS[1], ARGV[1]

redis.call('HDEL', storm, '') -- takes no memory: see REFUSED_WHEN_FULL
for i = 2, #ARGV, 2 do
  redis.call('HSET', storm, ARGV[i], ARGV[i + 1])
end
redis.call('PEXPIREAT', storm, expire_at_ms)
return 1
