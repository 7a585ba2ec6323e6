-- Settle or release a reservation: entitlements/decision.py's `settled` and `released`; or give back one that was settled.
-- KEYS  feature, its reservations (one slot)
-- ARGV  settle (1), release (0) or give back (2), reservation id, now ms
-- Returns  1, or 0 where the reservation is not open any more
local lease, units = string.match(ARGV[2], '^(%d+)%.(%d+)%.')
local function untake()
  if lease ~= '0' and redis.call('HGET', KEYS[1], 'ln') == lease then redis.call('HINCRBY', KEYS[1], 'lt', '-' .. units) end
end
if ARGV[1] == '2' then
  untake()
  return 1
end
local expires = redis.call('ZSCORE', KEYS[2], ARGV[2])
if not expires or tonumber(expires) <= tonumber(ARGV[3]) then return 0 end
redis.call('ZREM', KEYS[2], ARGV[2])
if lease == '0' then redis.call('HINCRBY', KEYS[1], 'lo', '-' .. units) end
if ARGV[1] == '0' then untake() end
return 1
