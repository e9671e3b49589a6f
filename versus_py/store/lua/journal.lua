-- journal: append lines to the chain of what was accepted, and drop those from its front that are too old.
-- KEYS[1] journal   list: an anchor, then lines as JSON, each with the hash of the one before; see store/journal/chain.py
-- KEYS[2] head      hash: n and hash of the last line
-- ARGV[1] beginning        the hash that the first line of a new chain follows
-- ARGV[2] drop_before_ms   lines that are older are dropped     ARGV[3] drop_max  the most that one call drops
-- ARGV[4] expire_at_ms     when all of it may be forgotten
-- the rest                 the content of each line, without braces
-- returns the number of the last line.
-- Whatever the list holds, lines are appended: what somebody changed in it is for the audit to find.
local journal, head = KEYS[1], KEYS[2]
local beginning, drop_before_ms, drop_max = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local expire_at_ms = ARGV[4]

local function anchor(n, hash)
  return '{"journal":1,"algorithm":"sha1","n":' .. n .. ',"hash":"' .. hash .. '"}'
end

local n, hash = unpack(redis.call('HMGET', head, 'n', 'hash'))
if not n or not hash then
  n, hash = '0', beginning
  redis.call('RPUSH', journal, anchor(n, hash))
end

for i = 5, #ARGV do
  n = string.format('%.0f', tonumber(n) + 1)
  local text = '{"n":' .. n .. ',"previous":"' .. hash .. '",' .. ARGV[i]
  hash = redis.sha1hex(text)
  redis.call('RPUSH', journal, text .. ',"hash":"' .. hash .. '"}')
end
redis.call('HSET', head, 'n', n, 'hash', hash)

local after = redis.call('LINDEX', journal, 0)
local is_dropping = false
for _ = 1, drop_max do
  local eldest = redis.call('LINDEX', journal, 1)
  local at_ms = eldest and tonumber(string.match(eldest, '"at_ms":(%d+)'))
  if not eldest or (at_ms and at_ms >= drop_before_ms) then
    break
  end
  redis.call('LPOP', journal)
  if at_ms then
    after = eldest
  end
  is_dropping = true
end
local after_n, after_hash = string.match(after, '"n":(%d+),'), string.match(after, '"hash":"(%x+)"}$')
if is_dropping and after_n and after_hash then
  redis.call('LSET', journal, 0, anchor(after_n, after_hash))
end

redis.call('PEXPIREAT', journal, expire_at_ms)
redis.call('PEXPIREAT', head, expire_at_ms)
return tonumber(n)
