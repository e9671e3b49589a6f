-- fix_partitions: over how many partitions incidents are spread, which the first replica of all writes down.
-- KEYS[1] marker  hash, see mark: of partition 0; partitions, that number
-- ARGV[1] wanted  by the replica that asks
-- ARGV[2] older   what it is where a version wrote the marker that did not write the number
-- returns the number that holds
local marker = KEYS[1]
local wanted, older = ARGV[1], ARGV[2]

local fixed = redis.call('HGET', marker, 'partitions')
if not fixed then
  fixed = redis.call('EXISTS', marker) == 1 and older or wanted
  redis.call('HDEL', marker, '') -- takes no memory: see REFUSED_WHEN_FULL
  redis.call('HSET', marker, 'partitions', fixed)
end
return fixed
