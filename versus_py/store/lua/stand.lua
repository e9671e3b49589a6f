-- stand: how incidents stand, without what they hold. In one call, as thousands are asked about each time.
-- KEYS[1] and all others   incidents   hash; of one partition, and no more than a call should take
-- returns {status, version, place, status, …} in the order of the keys; '' three times for one that is gone.
-- place is the beginning of its text that says its place among all that are open; '' for one that is not, or whose text
-- does not say it.
local found = {}
for _, incident in ipairs(KEYS) do
  local status = redis.call('HGET', incident, 'status') or ''
  found[#found + 1] = status
  found[#found + 1] = redis.call('HGET', incident, 'version') or ''
  local text = status ~= '' and status ~= 'resolved' and redis.call('HGET', incident, 'incident') or ''
  found[#found + 1] = string.match(text, '^{"schema":%d+,"readable_from":%d+,"place":"%a%d+"') or ''
end
return found
