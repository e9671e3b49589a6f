-- name: have a further dedup key name an incident, for as long as its own does.
-- KEYS[1] alias     string, ids of incidents with a space between; most name one
-- ARGV[1] id        ARGV[2] expire_at_ms    ARGV[3] is_open  "1" while the incident is
-- returns 1.
-- Several are named where one group has become of many: each has its own part of it. One that is over is named no more,
-- unless it is the last.
local alias = KEYS[1]
local id, expire_at_ms, is_open = ARGV[1], ARGV[2], ARGV[3] == '1'

local named = redis.call('GET', alias) or ''
local others, is_named = {}, false
for other in string.gmatch(named, '%S+') do
  if other == id then
    is_named = true
  else
    others[#others + 1] = other
  end
end

if is_open then
  local ids = is_named and named or table.concat({ named, named ~= '' and ' ' or '', id })
  redis.call('PEXPIREAT', alias, expire_at_ms) -- takes no memory: see REFUSED_WHEN_FULL
  redis.call('SET', alias, ids, 'PXAT', expire_at_ms)
elseif is_named and #others > 0 then
  redis.call('PEXPIRE', alias, redis.call('PTTL', alias))
  redis.call('SET', alias, table.concat(others, ' '), 'KEEPTTL')
elseif is_named or named == '' then
  redis.call('PEXPIREAT', alias, expire_at_ms)
  redis.call('SET', alias, id, 'PXAT', expire_at_ms)
end
return 1
