-- save: write a changed incident if nobody changed it meanwhile, and arm or disarm its timers.
-- KEYS[1] incident   hash   KEYS[2] dedup     string   KEYS[3] timers   zset   KEYS[4] running  zset
-- KEYS[5] attempts   hash   KEYS[6] timeline  list     KEYS[7] pending  zset, id -> when its escalation is due
-- KEYS[8] payload    string
-- ARGV[1] id   ARGV[2] written_version   as it was read, without its repeats: see repeat
-- ARGV[3] status   ARGV[4] incident
-- ARGV[5] expire_at_ms         when all of it may be forgotten
-- ARGV[6] dedup_expire_at_ms   until when the dedup key names this incident
-- ARGV[7] timeline_max         most entries kept
-- ARGV[8] settle_ms            how long an unrecorded attempt may take to have its effect
-- ARGV[9] owed_at_ms           when its escalation is due; "" when nothing is owed any more
-- ARGV[10] alerts              its alerts, where they are a field of their own; "-" when that is as it was, "" for none
-- ARGV[11] payload             the body that changed it, packed; "" leaves the one that is there
-- ARGV[12] timer_count         then that many pairs: member, due_ms; due_ms "" disarms
-- the rest                     timeline entries
-- returns 1 when written, 0 when the version is another one or the incident is gone.
-- A running timer is left alone: its completion sees that the version moved on. One with attempts behind it backs off,
-- and what it attempted may still take effect: it is not disarmed, and armed settle_ms later than it would be, unless
-- it is due earlier anyway.
local incident, dedup, timers, running = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local attempts, timeline, pending, payload_key = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local id, written_version, status, text = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local expire_at_ms, dedup_expire_at_ms = ARGV[5], ARGV[6]
local timeline_max, settle_ms = tonumber(ARGV[7]), tonumber(ARGV[8])
local owed_at_ms, alerts, payload, timer_count = ARGV[9], ARGV[10], ARGV[11], tonumber(ARGV[12])

local version, repeats = unpack(redis.call('HMGET', incident, 'version', 'repeats'))
if not version or version - (repeats or 0) ~= tonumber(written_version) then
  return 0
end

redis.call('ZREM', timers, '') -- takes no memory: see REFUSED_WHEN_FULL
redis.call('HINCRBY', incident, 'version', 1)
redis.call('HSET', incident, 'status', status, 'incident', text)
if alerts == '' then
  redis.call('HDEL', incident, 'alerts')
elseif alerts ~= '-' then
  redis.call('HSET', incident, 'alerts', alerts)
end
redis.call('PEXPIREAT', incident, expire_at_ms)
if payload ~= '' then
  redis.call('SET', payload_key, payload)
end
redis.call('PEXPIREAT', payload_key, expire_at_ms)
if owed_at_ms == '' then
  redis.call('ZREM', pending, id)
else
  redis.call('ZADD', pending, owed_at_ms, id)
end

local named = redis.call('GET', dedup)
if not named or named == id then
  redis.call('SET', dedup, id, 'PXAT', dedup_expire_at_ms)
end

local next_arg = 13
for _ = 1, timer_count do
  local member, due_ms = ARGV[next_arg], ARGV[next_arg + 1]
  local is_running = redis.call('ZSCORE', running, member)
  local backs_off_until_ms = redis.call('HEXISTS', attempts, member) == 1 and redis.call('ZSCORE', timers, member)
  if is_running then
    -- left alone
  elseif backs_off_until_ms then
    if due_ms ~= '' and due_ms + settle_ms < tonumber(backs_off_until_ms) then
      redis.call('ZADD', timers, due_ms + settle_ms, member)
    end
  elseif due_ms == '' then
    redis.call('ZREM', timers, member)
  else
    redis.call('ZADD', timers, due_ms, member)
  end
  next_arg = next_arg + 2
end

if #ARGV >= next_arg and redis.call('RPUSH', timeline, unpack(ARGV, next_arg)) > timeline_max then
  redis.call('LTRIM', timeline, -timeline_max, -1)
end
redis.call('PEXPIREAT', timeline, expire_at_ms)
return 1
