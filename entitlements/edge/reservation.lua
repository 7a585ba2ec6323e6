-- Settle or release a reservation: entitlements/decision.py's `settled` and `released`.
-- KEYS  feature, its reservations (one slot)
-- ARGV  settle (1) or release (0), reservation id, now ms
-- Returns  1, or 0 where the reservation is not open any more
local expires = redis.call('ZSCORE', KEYS[2], ARGV[2])
if not expires or tonumber(expires) <= tonumber(ARGV[3]) then return 0 end
redis.call('ZREM', KEYS[2], ARGV[2])
local lease, units = string.match(ARGV[2], '^(%d+)%.(%d+)%.')
if lease == '0' then
  redis.call('HINCRBY', KEYS[1], 'lo', '-' .. units)
elseif ARGV[1] == '0' and redis.call('HGET', KEYS[1], 'ln') == lease then
  redis.call('HINCRBY', KEYS[1], 'lt', '-' .. units)
end
return 1
