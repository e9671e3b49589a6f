-- read_journal: a stretch of the chain of what was accepted, together with what tells where that is.
-- KEYS[1] journal   list, see journal   KEYS[2] head   hash: n and hash of the last line
-- ARGV[1] from   ARGV[2] to   the places of the first and the last line of the stretch
-- returns the anchor, the number and the hash of the last line of all, then the lines of the stretch; "" for what is missing.
local journal, head = KEYS[1], KEYS[2]
local from, to = ARGV[1], ARGV[2]

local n, hash = unpack(redis.call('HMGET', head, 'n', 'hash'))
local reply = redis.call('LRANGE', journal, from, to)
table.insert(reply, 1, hash or '')
table.insert(reply, 1, n or '')
table.insert(reply, 1, redis.call('LINDEX', journal, 0) or '')
return reply
