-- Keeps one access token for all processes: every verb is one atomic step by this server's clock.
--
-- KEYS     the book (hash), the lock (text, with its end) and the log (zset: refresh by the time
--          its answer came; one under way stands at the end of its lease)
-- ARGV[1]  the request as JSON; durations are whole microseconds
--
-- Numbers leave through text(): tostring and cjson keep 14 digits, an instant has 16.

local KEEP = 86400000 -- milliseconds that a book nobody writes to is kept
local REFUSED_WINDOW = 600000000 -- refused tokens are counted for so long
local REFUSED_MOST = 5 -- with so many in it, it is not the tokens

local request = cjson.decode(ARGV[1])
local book, lock, log = KEYS[1], KEYS[2], KEYS[3]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

local function text(number)
  return string.format('%.0f', number)
end

local function number(field)
  return tonumber(redis.call('HGET', book, field) or '0')
end

local function drop()
  redis.call('HDEL', book, 'id', 'sealed', 'fresh_at', 'good_at')
end

local verbs = {}

function verbs.read()
  local good_at = number('good_at')
  if good_at <= now then
    return { 'none' }
  end
  local kept = redis.call('HMGET', book, 'id', 'sealed', 'refused')
  local fresh_for = math.max(number('fresh_at') - now, 0)
  return { 'token', kept[1], kept[2], text(fresh_for), text(good_at - now), kept[3] and 1 or 0 }
end

function verbs.begin()
  local hold_until = number('hold_until')
  if hold_until > now then
    local why = redis.call('HMGET', book, 'hold_why', 'hold_said')
    return { 'held', text(hold_until - now), why[1], why[2] }
  end
  if number('fresh_at') > now then
    return { 'done' }
  end
  local left = redis.call('PTTL', lock)
  if left > 0 then
    return { 'busy', text(left * 1000) }
  end
  redis.call('ZREMRANGEBYSCORE', log, '-inf', '(' .. text(now - request.window))
  local used = redis.call('ZCARD', log)
  if used >= request.most then
    -- The place that has to be left for one to be free.
    local entry = redis.call('ZRANGE', log, used - request.most, used - request.most, 'WITHSCORES')
    return { 'full', text(tonumber(entry[2]) + request.window + 1 - now) }
  end
  redis.call('SET', lock, request.owner, 'PX', text(math.ceil(request.lease / 1000)))
  redis.call('ZADD', log, text(now + request.lease), request.owner)
  redis.call('PEXPIRE', log, text(math.ceil((request.window + request.lease) / 1000) + 1000))
  return { 'yours' }
end

-- Whether the lock was still the caller's; if so it is free now.
local function release()
  local owner = redis.call('GET', lock)
  if owner == request.owner then
    redis.call('DEL', lock)
  end
  return owner == request.owner
end

-- A refresh counts from when its answer came: the server saw it before that.
local function date(counts)
  if counts then
    redis.call('ZADD', log, text(now), request.owner)
  else
    redis.call('ZREM', log, request.owner)
  end
end

function verbs.finish()
  date(true)
  -- Somebody else came after the lock ran out: his token stands, or his refresh is under way.
  if not release() and (redis.call('EXISTS', lock) == 1 or number('fresh_at') > now) then
    return { 'late' }
  end
  redis.call('HSET', book, 'id', request.id, 'sealed', request.sealed,
    'fresh_at', text(now + request.fresh_for), 'good_at', text(now + request.good_for))
  redis.call('HDEL', book, 'hold_until', 'hold_why', 'hold_said', 'failures')
  redis.call('PEXPIRE', book, KEEP)
  return { 'kept' }
end

function verbs.fail()
  date(request.counts)
  if not release() then
    return { 'late', '0' }
  end
  local failures = redis.call('HINCRBY', book, 'failures', 1)
  local pause = math.min(request.first * 2 ^ math.min(failures - 1, 20), request.longest)
  redis.call('HSET', book, 'hold_until', text(now + pause),
    'hold_why', request.why, 'hold_said', request.said)
  redis.call('PEXPIRE', book, KEEP)
  return { 'held', text(pause) }
end

function verbs.forget()
  if redis.call('HGET', book, 'id') ~= request.id then
    return { 'changed', 1 }
  end
  local was_refused = redis.call('HEXISTS', book, 'refused') == 1
  local since = number('refused_since')
  if since <= now - REFUSED_WINDOW then
    redis.call('HSET', book, 'refused_since', text(now), 'refused_count', 0)
  end
  local count = redis.call('HINCRBY', book, 'refused_count', 1)
  redis.call('HSET', book, 'refused', 1)
  redis.call('PEXPIRE', book, KEEP)
  drop()
  return { 'dropped', (was_refused or count >= REFUSED_MOST) and 0 or 1 }
end

function verbs.accept()
  if redis.call('HGET', book, 'id') == request.id then
    redis.call('HDEL', book, 'refused')
  end
  return { 'noted' }
end

return verbs[request.verb]()
