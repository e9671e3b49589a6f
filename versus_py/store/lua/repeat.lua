-- repeat: count that an incident was said again as it is known, and have those show it who show how often.
-- KEYS[1] incident   hash   KEYS[2] timers  zset   KEYS[3] running  zset   KEYS[4] attempts  hash
-- KEYS[5] dedup      string, which has to name the incident; left out where that does not matter
-- ARGV[1] id         ARGV[2] written_version   the version without the repeats that were counted since then
-- ARGV[3] count      ARGV[4] now_ms            ARGV[5] settle_ms   as with save
-- the rest           members to arm at now_ms, as save arms them
-- returns 1 when counted, 0 when the incident was changed otherwise, is gone, or has another name.
-- The version moves on, so that a sync that runs now is followed by another. A save that was decided before is written
-- all the same: it leaves the count alone.
local incident, timers, running, attempts, dedup = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local id, written_version, count = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local now_ms, settle_ms = ARGV[4], tonumber(ARGV[5])

local version, repeats = unpack(redis.call('HMGET', incident, 'version', 'repeats'))
if not version or version - (repeats or 0) ~= written_version then
  return 0
end
if dedup and redis.call('GET', dedup) ~= id then
  return 0
end

redis.call('ZREM', timers, '') -- takes no memory: see REFUSED_WHEN_FULL
redis.call('HSET', incident, 'version', version + count, 'repeats', (repeats or 0) + count, 'repeated_ms', now_ms)
for i = 6, #ARGV do
  local member = ARGV[i]
  local is_running = redis.call('ZSCORE', running, member)
  local backs_off_until_ms = redis.call('HEXISTS', attempts, member) == 1 and redis.call('ZSCORE', timers, member)
  if is_running then
    -- left alone: its completion sees that the version moved on
  elseif not backs_off_until_ms then
    redis.call('ZADD', timers, now_ms, member)
  elseif now_ms + settle_ms < tonumber(backs_off_until_ms) then
    redis.call('ZADD', timers, now_ms + settle_ms, member)
  end
end
return 1
