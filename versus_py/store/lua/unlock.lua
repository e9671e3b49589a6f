-- unlock: give a lock back, unless it took too long and is somebody else's now.
-- KEYS[1] lock   string, the token of who holds it
-- ARGV[1] token
-- returns 1 when it was ours, else 0.
local lock, token = KEYS[1], ARGV[1]

if redis.call('GET', lock) ~= token then
  return 0
end
return redis.call('DEL', lock)
