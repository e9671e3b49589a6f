-- note_due: count how many deliveries came due in a minute, and keep the most of any minute of each day.
-- KEYS[1] minutes  hash, `<minute>|<system>` -> deliveries; a minute is one since the epoch
-- KEYS[2] days     hash, `<day>|<system>` -> `<deliveries> <minute>` of the minute with the most
-- ARGV[1] first_minute  earlier ones are not counted any more       ARGV[2] first_day  nor kept
-- ARGV[3] expires_in_ms of both hashes
-- further ARGV: minute, system and how many more came due then, in turn
-- returns nothing
local minutes, days = KEYS[1], KEYS[2]
local first_minute, first_day, expires_in_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]

redis.call('HDEL', minutes, '') -- takes no memory: see REFUSED_WHEN_FULL
for _, known in ipairs({ { minutes, first_minute }, { days, first_day } }) do
  local fields = redis.call('HGETALL', known[1])
  for i = 1, #fields, 2 do
    if tonumber(string.match(fields[i], '^%d+')) < known[2] then
      redis.call('HDEL', known[1], fields[i])
    end
  end
end
for i = 4, #ARGV, 3 do
  local minute, system = tonumber(ARGV[i]), ARGV[i + 1]
  if minute >= first_minute then
    local count = redis.call('HINCRBY', minutes, ARGV[i] .. '|' .. system, ARGV[i + 2])
    local day = string.format('%d', math.floor(minute / 1440)) .. '|' .. system
    local most = redis.call('HGET', days, day)
    if not most or tonumber(string.match(most, '^%d+')) <= count then
      redis.call('HSET', days, day, string.format('%d', count) .. ' ' .. ARGV[i])
    end
  end
end
redis.call('PEXPIRE', minutes, expires_in_ms)
redis.call('PEXPIRE', days, expires_in_ms)
