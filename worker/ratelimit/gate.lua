-- Keeps the books of the purses: every verb is one atomic step by this server's clock.
--
-- KEYS     three per purse: its book (hash), its flight (zset: permit by the end of its lease)
--          and its log (zset: permit by the time its answer came)
-- ARGV[1]  the request as JSON; instants and durations are whole microseconds
--
-- Numbers leave through text(): tostring and cjson keep 14 digits, an instant has 16.

local IN_FLIGHT_WAIT = 50000 -- a call that is out ends about this soon
local UNUSED_WAIT = 1000000 -- a permit nobody uses comes back after this at the latest
local EASED_LEAST = 0.0625 -- of the limits: so much is granted at least after many halvings
local EASED_BACK = 0.1 / 60000000 -- of the limits, that come back with every microsecond
local TOGETHER = 0.005 -- of a window: entries that leave it within this are waited for as one ...
local TOGETHER_MOST = 500000 -- ... or within this, if that is less
local LONG = 3600000000 -- what is given anew later than this is a quota of the day
local KEEP = 60000000 -- how long a return is remembered at least, to know it if it comes twice

local request = cjson.decode(ARGV[1])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

local function text(number)
  return string.format('%.0f', number)
end

-- Which life of the server this is. Asked here, and not by the client on connecting, because only
-- the server that runs the script can be meant. fakeredis knows no INFO and has one life.
local function run_id()
  local answer = redis.pcall('INFO', 'server')
  if type(answer) == 'table' then
    -- tostring, because fakeredis hands out bytes of Python.
    local failure = tostring(answer.err)
    if string.find(failure, 'unknown command', 1, true) then
      return 'only'
    end
    error(failure)
  end
  return string.match(answer, 'run_id:(%w+)') or 'only'
end

local function open(index)
  local purse = request.purses[index]
  purse.book, purse.flight, purse.log = KEYS[3 * index - 2], KEYS[3 * index - 1], KEYS[3 * index]
  local book = redis.call(
    'HMGET', purse.book, 'run_id', 'day', 'used', 'closed_until', 'closed_reason', 'corrected_at',
    'eased', 'eased_at', 'left', 'left_until'
  )
  purse.run_id = book[1]
  purse.day, purse.used = tonumber(book[2] or '0'), tonumber(book[3] or '0')
  purse.closed_until, purse.closed_reason = tonumber(book[4] or '0'), book[5] or ''
  purse.corrected_at = tonumber(book[6] or '0')
  purse.left, purse.left_until = tonumber(book[9] or '0'), tonumber(book[10] or '0')
  local back = (now - tonumber(book[8] or '0')) * EASED_BACK
  purse.eased = math.min(1, tonumber(book[7] or '1') + math.max(0, back))
  return purse
end

-- The client sends the resets around the time it believes in, this clock picks the day. Nil: the
-- client is off by more than a day. A day never goes back, so two clients that disagree about
-- the reset spend one quota and not two.
local function find_day(purse)
  local resets = purse.resets
  if now < resets[1] or now >= resets[#resets] then
    return nil
  end
  local start
  for _, reset in ipairs(resets) do
    if reset > now then
      purse.next_reset = reset
      break
    end
    start = reset
  end
  if start > purse.day then
    purse.day, purse.used, purse.is_changed = start, 0, true
  end
  return start
end

local function put_back(purse)
  purse.untold = 0
  for _, entry in ipairs(purse.back) do
    local id, used, left, resets = entry[1], entry[2], entry[3], entry[4]
    -- The newest answer knows best; of those that come together, the one with the least left.
    if left and not (purse.is_told and purse.left <= left) then
      purse.left, purse.left_until, purse.is_told = left, now + resets, true
    end
    local was_out = redis.call('ZREM', purse.flight, id) == 1
    if used then
      -- Neither out nor in the log: from before the books were lost. In doubt it is one more.
      if was_out or not redis.call('ZSCORE', purse.log, id) then
        purse.used = purse.used + 1
        purse.untold = purse.untold + (left and 0 or 1)
      end
      redis.call('ZADD', purse.log, text(now), id)
      purse.is_changed = true
    end
  end
end

-- A lease that ran out is a call made at its end; what no window can see any more is forgotten;
-- what changed is written.
local function sweep(purse)
  local lost = redis.call('ZRANGEBYSCORE', purse.flight, '-inf', text(now), 'WITHSCORES')
  for i = 1, #lost, 2 do
    local ended = tonumber(lost[i + 1])
    redis.call('ZADD', purse.log, text(ended), lost[i])
    redis.call('ZREM', purse.flight, lost[i])
    purse.is_changed = true
    if ended >= purse.day then
      purse.used = purse.used + 1
    end
  end
  if purse.is_told then
    redis.call('HSET', purse.book, 'left', text(purse.left), 'left_until', text(purse.left_until),
      'corrected_at', text(now))
  end
  -- What answers do not tell of took from what is left all the same.
  local untold = (purse.untold or 0) + #lost / 2
  if purse.left_until > now and untold > 0 then
    purse.left = math.max(0, purse.left - untold)
    redis.call('HSET', purse.book, 'left', text(purse.left))
  end
  local keep = math.max(KEEP, purse.keep)
  redis.call('ZREMRANGEBYSCORE', purse.log, '-inf', '(' .. text(now - keep))
  if purse.is_changed then
    redis.call('PEXPIRE', purse.log, text(math.ceil(keep / 1000) + 1000))
    redis.call('HSET', purse.book, 'day', text(purse.day), 'used', text(purse.used))
  end
end

-- What is left of a limit while the purse is eased.
local function eased(purse, calls)
  return math.max(1, math.floor(calls * purse.eased + 1e-9))
end

-- Every limit of a purse: how many it has room for, what for, and `wait`, how long until it has
-- room again if it has none. `held`: places that permits still out hold, and may give back.
local function limits_of(purse)
  local out = redis.call('ZCARD', purse.flight)
  local at_once = #purse.windows > 0 and purse.in_flight or eased(purse, purse.in_flight)
  local limits = { { free = at_once - out, held = out, reason = 'in_flight' } }
  if purse.closed_until > now then
    table.insert(limits, { free = 0, held = 0, reason = 'closed', at = purse.closed_until })
  end
  if purse.left_until > now then
    local reason = purse.left_until - now > LONG and 'quota_reset' or 'rate_limit'
    table.insert(limits, { free = purse.left - out, held = out, reason = reason, at = purse.left_until })
  end
  if purse.per_day then
    local free = purse.per_day - purse.used
    table.insert(limits, { free = free - out, held = out, reason = 'quota_reset', at = purse.next_reset })
  end
  for _, window in ipairs(purse.windows) do
    local since = text(now - window.per)
    local used = redis.call('ZCOUNT', purse.log, since, '+inf')
    table.insert(limits, {
      free = eased(purse, window.calls) - used - out, held = out, reason = 'rate_limit',
      used = used, per = window.per, since = since,
    })
  end
  return limits
end

-- When enough entries have left the window for a useful batch, and those that follow them at once:
-- calls that were made together come back together, and are worth one slice. Those that are out now
-- leave it later than all of them, so the last entry is the latest that can be told.
local function batch_is_back(purse, limit, granted)
  local leaving = math.min(purse.batch - (limit.free - granted), limit.used)
  local entry = redis.call(
    'ZRANGEBYSCORE', purse.log, limit.since, '+inf', 'WITHSCORES', 'LIMIT', leaving - 1, 1
  )
  local together = text(tonumber(entry[2]) + math.min(limit.per * TOGETHER, TOGETHER_MOST))
  local last = redis.call('ZREVRANGEBYSCORE', purse.log, together, '-inf', 'WITHSCORES', 'LIMIT', 0, 1)
  return tonumber(last[2]) + limit.per + 1
end

-- Only a limit that is used up makes anybody wait, and while permits that are out hold some of
-- its places, not for longer than they can be held unused.
local function wait_for(purse, limit, granted)
  if limit.reason == 'in_flight' then
    return IN_FLIGHT_WAIT, 'in_flight'
  end
  local wait
  if limit.at then
    wait = limit.at - now
  elseif limit.used > 0 then
    wait = batch_is_back(purse, limit, granted) - now
  else
    wait = limit.per
  end
  if limit.free + limit.held > 0 and limit.reason ~= 'closed' then
    return math.min(wait, UNUSED_WAIT), 'in_flight'
  end
  return wait, limit.reason
end

local function longest_wait(purses, granted)
  local longest = { wait = 0, reason = '', name = '', detail = '' }
  for _, purse in ipairs(purses) do
    for _, limit in ipairs(purse.limits) do
      if limit.free <= granted then
        local wait, reason = wait_for(purse, limit, granted)
        if wait > longest.wait then
          local detail = reason == 'closed' and purse.closed_reason or ''
          longest = { wait = wait, reason = reason, name = purse.name, detail = detail }
        end
      end
    end
  end
  return longest
end

-- The purses, the names of those whose books are lost (behind the two words of that answer), and
-- whether the client's days are off.
local function all_purses()
  local purses, empty = {}, { 'empty', text(now) }
  local life, is_stale = run_id(), false
  for index = 1, #request.purses do
    local purse = open(index)
    purse.is_current = purse.run_id == life
    if not purse.is_current then
      table.insert(empty, purse.name)
    end
    is_stale = find_day(purse) == nil or is_stale
    purses[index] = purse
  end
  return purses, empty, is_stale, life
end

local verbs = {}

function verbs.exchange()
  local purses, empty, is_stale = all_purses()
  if is_stale then
    return { 'stale', text(now) }
  end
  if #empty > 2 then
    return empty
  end
  local granted = request.want
  for _, purse in ipairs(purses) do
    put_back(purse)
    sweep(purse)
    purse.limits = limits_of(purse)
    for _, limit in ipairs(purse.limits) do
      granted = math.max(0, math.min(granted, limit.free))
    end
  end
  local ends = text(now + request.lease)
  for _, purse in ipairs(purses) do
    for number = 1, granted do
      redis.call('ZADD', purse.flight, ends, request.batch .. '-' .. number)
    end
  end
  if granted >= request.want and request.want > 0 then
    return { 'ok', text(now), granted }
  end
  local longest = longest_wait(purses, granted)
  if longest.wait == 0 then
    return { 'ok', text(now), granted }
  end
  return {
    'ok', text(now), granted, text(longest.wait), longest.reason, longest.name, longest.detail,
  }
end

function verbs.books()
  local purses, _, is_stale = all_purses()
  if is_stale then
    return { 'stale', text(now) }
  end
  local answer = { 'ok', text(now) }
  for _, purse in ipairs(purses) do
    if purse.is_current then
      sweep(purse)
    end
    local is_closed = purse.closed_until > now
    local line = {
      purse.is_current and 1 or 0, text(purse.used), redis.call('ZCARD', purse.flight),
      is_closed and text(purse.closed_until) or '0', is_closed and purse.closed_reason or '',
      text(purse.corrected_at), text(purse.eased * 1000),
    }
    for _, window in ipairs(purse.windows) do
      table.insert(line, redis.call('ZCOUNT', purse.log, text(now - window.per), '+inf'))
    end
    table.insert(answer, line)
  end
  return answer
end

-- Permits that are out stay so: a server that restarted with its data still knows them.
function verbs.rebuild()
  local purses, _, is_stale, life = all_purses()
  local purse = purses[1]
  if is_stale then
    return { 'stale', text(now) }
  end
  if purse.is_current then
    return { 'ok', text(now), 0 }
  end
  sweep(purse)
  redis.call('DEL', purse.log)
  for number, age in ipairs(request.ages) do
    redis.call('ZADD', purse.log, text(now - age), request.batch .. '-' .. number)
  end
  -- What the book knows of this very day may be more than the record does, but never less.
  purse.used, purse.is_changed = math.max(purse.used, request.used_today), true
  sweep(purse)
  redis.call('HSET', purse.book, 'run_id', life, 'corrected_at', text(now))
  return { 'ok', text(now), 1 }
end

function verbs.close()
  local purse = open(1)
  local ends = request.at or now + request.delay
  -- All refusals of a wave are one: what comes while it is closed halves nothing.
  if request.ease and purse.closed_until <= now then
    local half = math.max(EASED_LEAST, purse.eased / 2)
    redis.call('HSET', purse.book, 'eased', string.format('%.6f', half), 'eased_at', text(now))
  end
  if request.shorten or ends > purse.closed_until then
    redis.call('HSET', purse.book, 'closed_until', text(ends), 'closed_reason', request.reason)
  end
  return { 'ok', text(now) }
end

return verbs[request.verb]()
