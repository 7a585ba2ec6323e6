-- May a customer use a feature now, and what is left: entitlements/decision.py's `decide`, inside a site's Redis.
-- KEYS  customer, feature, its reservations (one slot)
-- ARGV  now ms, quantity, reserving (1 or 0), time to live ms, nonce,
--       site complete (1 or 0), age ms, unknown allowed (1 or 0), age at most ms, feature known (1 or 0)
-- Returns  allowed, reason, stale, limit, used, remaining, window end ms, retry after s, lease low, reservation, its expiry ms,
--          then of the records: customer version, plan, margin level, margin action, downgrades,
--          feature version, as of ms, kind, limit type, value, places, plan. A number that is not there is ''.
local now, quantity = tonumber(ARGV[1]), tonumber(ARGV[2])
local is_reserving, is_complete, age = ARGV[3] == '1', ARGV[6] == '1', tonumber(ARGV[7])
local is_allowing, age_max, is_feature_known = ARGV[8] == '1', tonumber(ARGV[9]), ARGV[10] == '1'
local is_stale = age > 10000

local function text(number)
  return number and string.format('%.0f', number) or ''
end

local c = redis.call('HMGET', KEYS[1], 'ver', 'ac', 'pl', 'w', 'ml', 'ma', 'mp', 'mr', 'md', 'rm', 'tc')
local f = {}

local function answer(allowed, reason, seen)
  seen = seen or {}
  return {
    allowed and 1 or 0, reason, (seen.stale or is_stale) and 1 or 0, text(seen.limit), text(seen.used or 0),
    text(seen.remaining), text(seen.window_end), text(seen.retry), seen.low and 1 or 0, seen.id or '', text(seen.expires),
    c[1] or '', c[3] or '', c[5] or '', c[6] or '', c[9] or '',
    f[1] or '', f[2] or '', f[3] or '', f[6] or '', f[4] or '', f[8] or '', f[9] or ''
  }
end

local function unknown(reason)
  if is_complete and age <= age_max then return answer(false, reason) end
  return answer(is_allowing, reason, {stale = true})
end

if not c[1] or c[10] == '1' then return unknown('UNKNOWN_CUSTOMER') end
if age > age_max and not is_allowing then return answer(false, 'UNKNOWN_CUSTOMER', {stale = true}) end
if not is_feature_known then return unknown('UNKNOWN_FEATURE') end
if c[2] ~= '1' then return answer(false, 'SUBSCRIPTION_INACTIVE') end
f = redis.call('HMGET', KEYS[2], 'ver', 'at', 'k', 'val', 'lim', 'ty', 'u', 'sc', 'pl', 'ws', 'we', 'nwe', 'nlim', 'rm',
  'ln', 'lw', 'lg', 'lr', 'ls', 'lt', 'lm', 'lo')
if not f[1] or f[14] == '1' then
  if not is_complete then return unknown('NOT_ENTITLED') end
  return answer(false, 'NOT_ENTITLED')
end

-- Expired reservations are given back.
local lease = f[15] and f[15] ~= '0' and f[15]
local taken, loose = tonumber(f[20] or 0), tonumber(f[22] or 0)
if f[20] or f[22] then
  local gone = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now)
  if #gone > 0 then
    local taken_before, loose_before = taken, loose
    for _, id in ipairs(gone) do
      local of, units = string.match(id, '^(%d+)%.(%d+)%.')
      if of == '0' then loose = loose - tonumber(units) elseif of == lease then taken = taken - tonumber(units) end
      redis.call('ZREM', KEYS[3], id)
    end
    if taken ~= taken_before then redis.call('HSET', KEYS[2], 'lt', text(taken)) end
    if loose ~= loose_before then redis.call('HSET', KEYS[2], 'lo', text(loose)) end
  end
end

-- The page is turned once the window is over.
local limit, used = tonumber(f[5]), tonumber(f[7])
local window_start, window_end = tonumber(f[10]), tonumber(f[11])
if window_end and now >= window_end then
  local next_end = tonumber(f[12])
  if next_end then
    limit = tonumber(f[13])
  else
    next_end = window_end + ((window_start and window_start < window_end) and window_end - window_start or 1)
  end
  local length, turns = next_end - window_end, 0
  if now >= next_end then turns = math.floor((now - next_end) / length) + 1 end
  used, window_start, window_end = 0, window_end + turns * length, next_end + turns * length
end
if limit == -1 then limit = nil end

-- A lease of another window is none.
local granted, returned, settled, taken_here = 0, 0, 0, 0
local is_of_window = lease and tonumber(f[16]) == window_start
local has_more = true
if is_of_window then
  granted, returned, settled, taken_here = tonumber(f[17]), tonumber(f[18]), tonumber(f[19]), taken
  has_more = f[21] ~= '0'
end
used = used + taken_here - settled + loose
local free = granted - returned - taken_here

local function seen(more)
  more = more or {}
  more.limit, more.used, more.window_end = limit, used, window_end
  if limit then more.remaining = math.max(0, limit - used) end
  return more
end
local function until_end()
  return window_end and math.max(1, math.ceil((window_end - now) / 1000))
end

if c[4] == '1' then return answer(false, 'WALLET_EMPTY', seen()) end
if c[6] == 'block' then return answer(false, 'MARGIN_BLOCK', seen({retry = tonumber(c[8])})) end
local is_hard = f[3] == 'metered' and limit and f[6] == 'hard'
if is_hard and used + quantity > limit then
  return answer(false, 'QUOTA_EXCEEDED', seen({retry = until_end()}))
end
local is_leased = is_hard and is_reserving and window_end and quantity > 0
if is_leased and quantity > free then
  return answer(false, 'QUOTA_EXCEEDED', seen({retry = has_more and 1 or until_end(), low = true}))
end
if c[6] == 'throttle' then
  local before, percent = tonumber(c[11] or 0), tonumber(c[7])
  redis.call('HSET', KEYS[1], 'tc', text(before + 1))
  if math.floor((before + 1) * percent / 100) > math.floor(before * percent / 100) then
    return answer(false, 'MARGIN_THROTTLE', seen({retry = tonumber(c[8])}))
  end
end
if not is_reserving or quantity == 0 or f[3] ~= 'metered' then return answer(true, 'OK', seen()) end

local expires = now + tonumber(ARGV[4])
local id = (is_leased and lease or '0') .. '.' .. text(quantity) .. '.' .. ARGV[5]
redis.call('ZADD', KEYS[3], text(expires), id)
if is_leased then
  redis.call('HSET', KEYS[2], 'lt', text(taken + quantity))
  free = free - quantity
else
  redis.call('HSET', KEYS[2], 'lo', text(loose + quantity))
end
used = used + quantity
local is_low = is_leased and has_more and 2 * free < granted - returned - settled
return answer(true, 'OK', seen({low = is_low, id = id, expires = expires}))
