-- announce: say which incidents changed, to who follows, also on a server that is full.
-- KEYS[1] events   stream, see keys
-- ARGV[1] max      about as many entries are kept   the rest: ids
-- returns 1.
local events = KEYS[1]
local max = ARGV[1]

redis.call('XTRIM', events, 'MAXLEN', '~', max) -- takes no memory: see REFUSED_WHEN_FULL
for i = 2, #ARGV do
  redis.call('XADD', events, '*', 'incident', ARGV[i])
end
return 1
