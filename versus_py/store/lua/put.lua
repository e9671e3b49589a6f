-- put: write a string, in Redis' own words: SET, also on a server that is full.
-- KEYS[1] key
-- ARGV[1] value   ARGV[2] expires_in_ms   "" for never   ARGV[3] is_new   "1" to leave alone what is there
-- returns 1; 0 when something was there that is left alone.
local key = KEYS[1]
local value, expires_in_ms, is_new = ARGV[1], ARGV[2], ARGV[3] == '1'

if is_new and redis.call('EXISTS', key) == 1 then
  return 0
end
redis.call('PEXPIRE', key, 1) -- takes no memory: see REFUSED_WHEN_FULL
if expires_in_ms == '' then
  redis.call('SET', key, value)
else
  redis.call('SET', key, value, 'PX', expires_in_ms)
end
return 1
