-- take_turn: give somebody a turn at a destination, or a place among those who wait for one.
-- KEYS[1] waiting   zset, who -> order; lower ones come first
-- KEYS[2] promised  zset, who -> when they were told to come back, ms
-- KEYS[3] free_at   string, when the next turn would be if none had been saved up, ms
-- ARGV[1] who   ARGV[2] order   ARGV[3] now_ms   ARGV[4] interval_ms   ARGV[5] burst (turns that can be saved up)
-- ARGV[6] grace_ms  how much later than promised somebody may come and still have the place
-- ARGV[7] keep_ms   how long all of it is kept when nobody comes
-- ARGV[8] takes     "" for who only wants to wait: a turn that is there is left, and with it a place that they have
-- returns {at_ms, ahead}: at_ms is now_ms when the turn is theirs now, else when to come back; ahead is how many
-- are served before.
-- Who waits keeps the place, however often they ask.
local waiting, promised, free_at = KEYS[1], KEYS[2], KEYS[3]
local who, order, now_ms, interval_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local burst, grace_ms, keep_ms, takes = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7], ARGV[8]

local gone = redis.call('ZRANGEBYSCORE', promised, '-inf', now_ms - grace_ms, 'LIMIT', 0, 100)
for _, name in ipairs(gone) do
  if name ~= who then
    redis.call('ZREM', waiting, name)
    redis.call('ZREM', promised, name)
  end
end

redis.call('ZREM', waiting, '') -- takes no memory: see REFUSED_WHEN_FULL
local is_new = redis.call('ZADD', waiting, 'NX', order, who) == 1
local ahead = redis.call('ZRANK', waiting, who)
local next_ms = math.max(tonumber(redis.call('GET', free_at) or now_ms), now_ms)
local at_ms = math.max(now_ms, next_ms + (ahead - burst + 1) * interval_ms)

if at_ms <= now_ms and takes ~= '' then
  redis.call('ZREM', waiting, who)
  redis.call('ZREM', promised, who)
  redis.call('SET', free_at, next_ms + interval_ms, 'PX', keep_ms)
elseif at_ms <= now_ms then
  if is_new then
    redis.call('ZREM', waiting, who)
  end
else
  redis.call('ZADD', promised, at_ms, who)
  redis.call('PEXPIRE', waiting, keep_ms)
  redis.call('PEXPIRE', promised, keep_ms)
end
return { at_ms, ahead }
