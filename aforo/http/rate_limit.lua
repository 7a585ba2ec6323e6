-- One bucket that refills at a steady rate (the generic cell rate algorithm): one number a key, one round trip.
-- KEYS[1]  the bucket
-- ARGV     units a second, units a burst may take, units asked for
-- Returns  allowed (1 or 0), units left, milliseconds until the request would pass, milliseconds until full
local rate, burst, asked = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local unit = 1000 / rate
-- The instant at which the bucket will be full again; a missing key is a full bucket.
local full_at = tonumber(redis.call('GET', KEYS[1]) or now)
if full_at < now then full_at = now end
local then_full_at = full_at + asked * unit
local wait = then_full_at - now - burst * unit
if wait > 0 then
  local left = math.floor(burst - (full_at - now) / unit)
  return {0, math.max(0, left), math.ceil(wait), math.ceil(full_at - now)}
end
-- string.format: a number turned into text by itself keeps 14 digits, which cuts off the milliseconds.
redis.call('SET', KEYS[1], string.format('%.3f', then_full_at), 'PX', math.ceil(then_full_at - now) + 1)
return {1, math.floor(burst - (then_full_at - now) / unit), 0, math.ceil(then_full_at - now)}
