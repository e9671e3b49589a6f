-- note_unread: an incident was met that cannot be read.
-- KEYS[1] unread   string, since when that is so, ms   KEYS[2] incident  hash   KEYS[3] pending  zset
-- ARGV[1] id   ARGV[2] now_ms   ARGV[3] keep_ms   when nobody meets it for so long, it begins anew
-- returns {since_ms, version, is_due}; version "" when the incident is gone, is_due "1" when its escalation is.
local unread, incident, pending = KEYS[1], KEYS[2], KEYS[3]
local id, now_ms, keep_ms = ARGV[1], ARGV[2], ARGV[3]

if redis.call('PEXPIRE', unread, keep_ms) == 0 then
  redis.call('SET', unread, now_ms, 'PX', keep_ms)
end
local owed_at_ms = redis.call('ZSCORE', pending, id)
local is_due = owed_at_ms and tonumber(owed_at_ms) <= tonumber(now_ms)
return { redis.call('GET', unread), redis.call('HGET', incident, 'version') or '', is_due and '1' or '' }
