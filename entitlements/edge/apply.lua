-- Take a record over, unless the site has it or a newer one.
-- KEYS  the record's hash, the site's own
-- ARGV  version, how many fields, then name and value of each; of a feature then, where the site holds a lease of the window:
--       lease, window start ms, granted, settled, more left (1, 0, or '' where nobody counted), recalled (1 or 0), epoch
-- Returns  1 where it was taken over, else 0
local has, count = redis.call('HGET', KEYS[1], 'ver'), tonumber(ARGV[2])
local is_newer = not has or has == '' or tonumber(has) < tonumber(ARGV[1])
if is_newer and count > 0 then
  redis.call('HSET', KEYS[1], 'ver', ARGV[1], unpack(ARGV, 3, 2 + 2 * count))
end

-- A lease's totals only grow, so that they may come late and more than once, by a record or by an answer to the site. What it
-- admits is counted in this memory alone: a lease of a memory that was emptied has been spent by nobody knows whom.
local at = 3 + 2 * count
if ARGV[at] and redis.call('HGET', KEYS[2], 'epoch') == ARGV[at + 6] then
  local lease, granted, settled = tonumber(ARGV[at]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local held = redis.call('HMGET', KEYS[1], 'ln', 'lg', 'ls')
  local of = tonumber(held[1] or 0)
  if of < lease then
    redis.call('HSET', KEYS[1], 'ln', ARGV[at], 'lw', ARGV[at + 1], 'lg', ARGV[at + 2], 'lr', '0', 'ls', ARGV[at + 3],
      'lt', ARGV[at + 3], 'lm', ARGV[at + 4] == '0' and '0' or '1', 'lc', ARGV[at + 5])
  elseif of == lease then
    if tonumber(held[2]) < granted then redis.call('HSET', KEYS[1], 'lg', ARGV[at + 2]) end
    -- By a record alone, which says beside it what the settled units have become.
    if count > 0 and tonumber(held[3]) < settled then redis.call('HSET', KEYS[1], 'ls', ARGV[at + 3]) end
    if ARGV[at + 4] ~= '' then redis.call('HSET', KEYS[1], 'lm', ARGV[at + 4]) end
    redis.call('HSET', KEYS[1], 'lc', ARGV[at + 5])
  end
end
return is_newer and count > 0 and 1 or 0
