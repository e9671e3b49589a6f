-- complete: give a claim back: done, to be tried again, not due yet, or given up.
-- KEYS[1] incident   hash   KEYS[2] timers  zset   KEYS[3] running   zset   KEYS[4] attempts  hash
-- KEYS[5] failed     zset, "<id>|<target>" -> when it was given up
-- KEYS[6] timeline   list   KEYS[7] pending zset, id -> when its escalation is due
-- KEYS[8] unsent     hash, "<id>|<target>" -> the worker that has claimed it and has sent nothing yet
-- KEYS[9] dedup      string   KEYS[10] payload string   KEYS[11] unread string: of an incident that could be read
-- ARGV[1] member   ARGV[2] token      the claim: its timer, and the end of its lease
-- ARGV[3] how      "done" | "retry" (due again at at_ms, attempts go on) | "postponed" (due again at at_ms; this was
--                  no attempt) | "failed". All but "retry" are due again at once if the version moved on meanwhile.
-- ARGV[4] at_ms    when it is due again; "" for never   ARGV[5] now_ms     ARGV[6] seen_version  the version that was synced
-- ARGV[7] field    ARGV[8] delivery   the hash field of this target's delivery, and that; "" leaves it
-- ARGV[9] expire_at_ms                when all of it may be forgotten, unless that is later already
-- ARGV[10] id       ARGV[11] owed_at_ms  when its escalation is due by what the target has come to; "" when nothing is
--                  owed any more; "-" leaves it. Unless the version moved on meanwhile; where something was owed and
--                  is no more, it moves on by this, so that no change is saved that was decided before
-- ARGV[12] timeline_max   ARGV[13] arm_count   then that many members to arm at now_ms, and the version moves on:
--                  what this target achieved is shown by those
-- the rest         timeline entries
-- returns {held, due_ms}: held is 1 when the claim still held, 2 when it was owed an escalation and is no more; 0 when
-- its lease had ended: then nothing is written. due_ms is the earliest due time of what was armed; "" when nothing was.
local incident, timers, running, attempts = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local failed, timeline, pending, unsent = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local dedup, payload, unread = KEYS[9], KEYS[10], KEYS[11]
local member, token, how, at_ms, now_ms, seen_version = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local field, delivery, expire_at_ms = ARGV[7], ARGV[8], ARGV[9]
local id, owed_at_ms = ARGV[10], ARGV[11]
local timeline_max, arm_count = tonumber(ARGV[12]), tonumber(ARGV[13])

if redis.call('ZSCORE', running, member) ~= token then
  return { 0, '' }
end
redis.call('ZREM', running, member)
redis.call('HDEL', unsent, member)
if unread then
  redis.call('DEL', unread)
end

local first_due_ms = ''
local function arm(due_ms, armed)
  redis.call('ZADD', timers, due_ms, armed)
  if first_due_ms == '' or tonumber(due_ms) < tonumber(first_due_ms) then
    first_due_ms = due_ms
  end
end

local version = redis.call('HGET', incident, 'version')
if not version then
  redis.call('HDEL', attempts, member)
  redis.call('ZREM', failed, member)
  redis.call('ZREM', pending, id)
  return { 1, '' }
end
-- A server that came back without its last writes has an older one: what was synced is to be decided again.
local went_back = tonumber(version) < tonumber(seen_version) and how ~= 'postponed'
local is_outdated = tonumber(version) > tonumber(seen_version) or went_back
local is_news = arm_count > 0
local result = 1
if owed_at_ms == '' and not is_outdated and redis.call('ZREM', pending, id) == 1 then
  is_news = true
  result = 2
elseif owed_at_ms ~= '' and owed_at_ms ~= '-' and not is_outdated then
  redis.call('ZADD', pending, owed_at_ms, id)
end

if how == 'retry' then
  arm(at_ms, member)
elseif how == 'postponed' then
  arm(is_outdated and now_ms or at_ms, member)
  if redis.call('HINCRBY', attempts, member, -1) <= 0 then
    redis.call('HDEL', attempts, member)
  end
else
  redis.call('HDEL', attempts, member)
  if how == 'failed' then
    redis.call('ZADD', failed, now_ms, member)
  else
    redis.call('ZREM', failed, member)
  end
  local again_ms = is_outdated and now_ms or at_ms
  if again_ms ~= '' then
    arm(again_ms, member)
  end
end

if delivery ~= '' then
  redis.call('HSET', incident, field, delivery)
end
local left_ms = redis.call('PTTL', incident)
local is_longer = now_ms + left_ms < tonumber(expire_at_ms)
if is_longer then
  redis.call('PEXPIREAT', incident, expire_at_ms)
  if dedup then
    redis.call('PEXPIREAT', payload, expire_at_ms)
    -- Of what is over, the key names it for some minutes only.
    if redis.call('HGET', incident, 'status') ~= 'resolved' and redis.call('GET', dedup) == id then
      redis.call('PEXPIREAT', dedup, expire_at_ms)
    end
  end
end

local next_arg = 14
if is_news then
  redis.call('HINCRBY', incident, 'version', 1)
end
for _ = 1, arm_count do
  local other = ARGV[next_arg]
  if not redis.call('ZSCORE', running, other) and redis.call('HEXISTS', attempts, other) == 0 then
    arm(now_ms, other)
  end
  next_arg = next_arg + 1
end
if #ARGV >= next_arg and redis.call('RPUSH', timeline, unpack(ARGV, next_arg)) > timeline_max then
  redis.call('LTRIM', timeline, -timeline_max, -1)
end
if is_longer then
  redis.call('PEXPIREAT', timeline, expire_at_ms)
elseif redis.call('PTTL', timeline) < 0 then -- these are its first entries
  redis.call('PEXPIRE', timeline, left_ms)
end
return { result, first_due_ms }
