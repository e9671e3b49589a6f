-- accept_loss: an operator knows that a partition lost its data.
-- KEYS[1] marker  hash, see mark
-- returns {lost_at_ms, lost_how}; both "" when no loss is open.
local marker = KEYS[1]

local lost_at_ms, lost_how, accepted = unpack(redis.call('HMGET', marker, 'lost_at_ms', 'lost_how', 'accepted'))
if accepted or not lost_at_ms then
  return { '', '' }
end
redis.call('HDEL', marker, '') -- takes no memory: see REFUSED_WHEN_FULL
redis.call('HSET', marker, 'accepted', '1')
return { lost_at_ms, lost_how }
