-- announce: say which incidents have changed, and when the first timer is due, also on a server that is full.
-- KEYS[1] events   stream, see keys
-- ARGV[1] max      about as many entries are kept   the rest: pairs of id and due_ms (2^53: none is)
-- returns 1.
local events = KEYS[1]
local max = ARGV[1]

redis.call('XTRIM', events, 'MAXLEN', '~', max) -- takes no memory: see REFUSED_WHEN_FULL
for i = 2, #ARGV, 2 do
  redis.call('XADD', events, '*', 'incident', ARGV[i], 'due', ARGV[i + 1])
end
return 1
