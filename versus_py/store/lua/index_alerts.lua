-- index_alerts: have alerts name the incident that they are in, among others, also on a server that is full.
-- KEYS[1] and all others   for each alert, its bucket: hash, alert -> ids of incidents with a space between
-- ARGV[1] id   ARGV[2] expire_at_ms   until when the alerts name it, at the least   ARGV[3] now_ms
-- the rest  for each alert, its field in the bucket
-- returns 1.
-- A bucket is kept as long as what is in it and kept for longest, and up to an hour more, so that not each alert that
-- joins has to say so anew.
local id, expire_at_ms, now_ms = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local SPARE_MS = 3600000

redis.call('HDEL', KEYS[1], '') -- takes no memory: see REFUSED_WHEN_FULL
for i, bucket in ipairs(KEYS) do
  local field = ARGV[i + 3]
  if redis.call('HSETNX', bucket, field, id) == 0 then
    local named = redis.call('HGET', bucket, field)
    if not string.find(' ' .. named .. ' ', ' ' .. id .. ' ', 1, true) then
      redis.call('HSET', bucket, field, named .. ' ' .. id)
    end
  end
  if now_ms + redis.call('PTTL', bucket) < expire_at_ms then
    redis.call('PEXPIREAT', bucket, expire_at_ms + SPARE_MS)
  end
end
return 1
