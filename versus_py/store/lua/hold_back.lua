-- hold_back: leave a destination alone until some time; turns that were saved up are lost.
-- KEYS[1] free_at   string, when the next turn would be if none had been saved up, ms
-- ARGV[1] until_ms + what could be saved up   ARGV[2] keep_ms   how long that is kept
-- returns 1 when it was moved, 0 when it is later already.
local free_at, until_ms, keep_ms = KEYS[1], tonumber(ARGV[1]), ARGV[2]

if tonumber(redis.call('GET', free_at) or 0) >= until_ms then
  return 0
end
redis.call('PEXPIRE', free_at, keep_ms) -- takes no memory: see REFUSED_WHEN_FULL
redis.call('SET', free_at, until_ms, 'PX', keep_ms)
return 1
