-- Give back what a lease does not need: half of what is free, rounded up, as leases.py's `give_back_size`.
-- KEYS  feature
-- Returns  units given back in all
local held = redis.call('HMGET', KEYS[1], 'lg', 'lr', 'lt', 'lc')
if not held[1] then return 0 end
local returned = tonumber(held[2])
if held[4] ~= '1' then return returned end
local free = math.max(0, tonumber(held[1]) - returned - tonumber(held[3]))
returned = returned + math.floor((free + 1) / 2)
redis.call('HSET', KEYS[1], 'lr', string.format('%.0f', returned), 'lc', '0')
return returned
