-- mark: compare the data of a partition with what a replica last saw of it, and note that it was seen.
-- KEYS[1] marker   hash: id of the data; seen_ms, when a replica last saw it; made_ms, when the id was given;
--                  partitions, see fix_partitions; confirmed "1" once a replica saw it again, which by then has seen all partitions
--                  of the last loss: lost_at_ms; lost_how; lost_id, of the data that was there before; accepted "1"
-- ARGV[1] known_id       of the data that the replica saw last; "" when it has seen none, "?" when it knows only that
--                        there was some
-- ARGV[2] known_seen_ms  the seen_ms that it saw last      ARGV[3] now_ms
-- ARGV[4] new_id         for data that has none            ARGV[5] set_back_ms   a seen_ms this much older is a loss
-- ARGV[6] partitions     over which incidents are spread
-- returns {id, seen_ms, is_found_here, lost_at_ms, lost_how}; lost_at_ms and lost_how are "" unless a loss is open.
-- is_found_here is 1 when this call found the loss.
local marker = KEYS[1]
local known_id, known_seen_ms, now_ms = ARGV[1], ARGV[2], ARGV[3]
local new_id, set_back_ms, partitions = ARGV[4], tonumber(ARGV[5]), ARGV[6]

redis.call('HDEL', marker, '') -- takes no memory: see REFUSED_WHEN_FULL
local id, seen_ms, lost_id = unpack(redis.call('HMGET', marker, 'id', 'seen_ms', 'lost_id'))

local how = ''
if known_id ~= '' and not id then
  how = 'emptied'
elseif known_id ~= '' and known_id ~= '?' and id ~= known_id and lost_id ~= known_id then
  how = 'replaced'
elseif id and id == known_id and tonumber(seen_ms) + set_back_ms < tonumber(known_seen_ms) then
  how = 'set back'
end

if not id then
  id, seen_ms = new_id, now_ms
  redis.call('HSET', marker, 'id', id, 'made_ms', now_ms, 'partitions', partitions)
end
if how ~= '' then
  redis.call('HSET', marker, 'lost_at_ms', now_ms, 'lost_how', how, 'lost_id', known_id)
  redis.call('HDEL', marker, 'accepted')
end
if id == known_id then
  redis.call('HSET', marker, 'confirmed', '1')
end
if tonumber(now_ms) > tonumber(seen_ms) then
  seen_ms = now_ms
end
redis.call('HSET', marker, 'seen_ms', seen_ms)

local lost_at_ms, lost_how, accepted = unpack(redis.call('HMGET', marker, 'lost_at_ms', 'lost_how', 'accepted'))
if accepted or not lost_at_ms then
  lost_at_ms, lost_how = '', ''
end
return { id, seen_ms, how ~= '' and 1 or 0, lost_at_ms, lost_how }
