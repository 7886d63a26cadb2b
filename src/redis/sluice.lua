#!lua name=sluice_VERSION
--
-- Sluice's state: ownership of partitions, counters, repeated events, recorded facts and context.
-- VERSION is replaced by a digest of this text when it is loaded, so that releases that differ run side by side.
--
-- Keys. Every function takes exactly one key, '{<deployment>}:state', and derives all others from it. They carry the
-- same hash tag, so they lie in the same Cluster slot, where a function may touch them; declaring thousands of keys a
-- call would only cost bytes. An ACL needs '~{<deployment>}:*'. One deployment therefore lives on one shard, which it
-- must: a call is atomic over partitions and counters.
--
--   {d}:state            hash    epoch (random; a new one begins when state was lost), lostAt (ms; while it is there,
--                                counters lack what was counted before the epoch), owner (group and topic), server
--                                (Redis' run id when it was last met), unproven (while it is there, some partition's
--                                owner has not met this server, which may lack what it or another had answered)
--   {d}:p:<partition>    hash    token, watermark (next offset to observe), committed, epoch, since (what lies below it
--                                was not observed in this epoch), reserved (after the last offset that asked for places),
--                                decided (the furthest that was ever committed, whatever was set back since), server
--                                (the one that its owner has met)
--   {d}:f:<partition>    hash    what was recorded of offsets not yet committed, one JSON array a line, lines ending
--                                in a comma but for the last: o<offset>-<next> = observations of the offsets from the
--                                first to before the second, g<offset>-<next> = grants; and u<from>-<next> = '' where
--                                some offset of that range asked for nothing, since it could not be decoded then
--   {d}:e:<action key>   string  <partition>:<offset>:<digest> of the first event; expires after duplicatesMs
--   {d}:c:<epoch>:<kind><key>
--                        string  MessagePack [bucket width, bucket, count, bucket, count, ...], and one number more while a
--                                wider window than the present one is remembered; expires with the window
--   {d}:a:<partition>    hash    run (the process that reads the partition; '' once it has let go of it in order), start
--                                (where it began), deaths, until, reading (where what it decodes begins)
--   {d}:rebuild          hash    epoch, holder, until (ms), progress, setBack (while it is there, offsets were found to be set
--                                back), and @<place> = next offset of it to restore from
--   {d}:blind            hash    <run of a place> = its events that were decided without state, as `restore` was given them
--   {d}:x:<hash>         string  context as JSON that starts with its version
--   {d}:context          hash    <partition of the context topic> = next offset to apply
--
-- state, p, f and a have no expiry: a partition may rest for weeks, and what is in them is bounded by the number of
-- partitions and by what is not yet committed.
--
-- A loss ends the epoch: without one nobody may write, so every owner takes its partitions anew, and the first begins the
-- next epoch with counters of its own. What was counted before is restored from the verdicts whose offsets lie below
-- `since`; what lies above is counted as it is observed. So each event is counted once, whichever comes first.
--
-- A replica that takes over and a server that starts again may lack the last writes, and each owner can tell only for its
-- own partitions. So where the run id is another one than before, state is unproven until the owner of every partition
-- of the topic has met the new server, which is what `remind` is for: until then counters and action keys may lack what
-- somebody has acted on, and events are observed as if state were lost. So is a new deployment: state that was wiped
-- before anything was committed looks like none, while a process that holds another partition may have executed already.
--
-- INVARIANT: in every function all reads and checks come before the first write, so a refused call changes nothing but,
-- where it shows that state was lost, the epoch.

local BUCKETS = 16
-- Arguments of one command; well below what Lua's C stack takes (8000).
local CHUNK = 2000

-- While a library is loaded there is no redis.call and no standard library, so these are set by the first call.
local call, concat, sort, floor, ceil, max, min, pack, unpack_message, format, sub, match, gmatch

-- Numbers as text. Lua's own conversion costs a printf each and rounds above 14 digits.
local DIGITS = {}

local function begin()
  call = redis.call
  concat, sort = table.concat, table.sort
  format, sub, match, gmatch = string.format, string.sub, string.match, string.gmatch
  floor, ceil, max, min = math.floor, math.ceil, math.max, math.min
  pack, unpack_message = cmsgpack.pack, cmsgpack.unpack
  for n = 0, 999 do
    DIGITS[n] = tostring(n)
  end
end

local function text(n)
  return DIGITS[n] or format('%.0f', n)
end

local function prefix_of(state_key)
  return sub(state_key, 1, -6)
end

-- Redis' own time in microseconds.
local function microseconds()
  local time = call('TIME')
  return time[1] * 1000000 + time[2]
end

-- Which process this is; another one may have other data.
local function server_id()
  return match(call('INFO', 'server'), 'run_id:(%w+)')
end

-- Whether some partition's owner has not met this server. State that nobody has written to lacks nothing.
local function is_unproven(here, state)
  return state.unproven or state.server ~= here and (state.server or state.epoch or state.lost_at) and true
end

local function values_of(keys, total)
  if total > 0 and total <= CHUNK then
    return call('MGET', unpack(keys, 1, total))
  end
  local values, n = {}, 0
  for i = 1, total, CHUNK do
    local some = call('MGET', unpack(keys, i, min(i + CHUNK - 1, total)))
    for j = 1, #some do
      n = n + 1
      values[n] = some[j]
    end
  end
  return values
end

local function partition_of(prefix, partition)
  local own = call('HMGET', prefix .. 'p:' .. partition, 'token', 'watermark', 'committed', 'epoch', 'reserved',
    'decided', 'server')
  return {
    token = own[1],
    watermark = own[2] and tonumber(own[2]),
    committed = tonumber(own[3] or '0'),
    epoch = own[4],
    reserved = tonumber(own[5] or '0'),
    decided = max(tonumber(own[3] or '0'), tonumber(own[6] or '0')),
    server = own[7],
  }
end

local function state_of(state_key)
  local state = call('HMGET', state_key, 'epoch', 'lostAt', 'owner', 'server', 'unproven')
  return { epoch = state[1], lost_at = state[2], owner = state[3], server = state[4], unproven = state[5] }
end

-- From now on this is the server that is met.
local function move_to(state_key, here, unproven)
  call('HSET', state_key, 'server', here)
  if unproven then
    call('HSET', state_key, 'unproven', '1')
  end
end

-- The first partition of so many whose owner in this epoch has not met this server.
local function first_unmet(prefix, here, epoch, partitions)
  for partition = 0, partitions - 1 do
    local own = call('HMGET', prefix .. 'p:' .. partition, 'epoch', 'server')
    if own[1] ~= epoch or own[2] ~= here then
      return text(partition)
    end
  end
  return nil
end

-- Ends the epoch, since its counters lack something.
local function lose(state_key, now)
  call('HSET', state_key, 'lostAt', format('%.0f', now))
  call('HDEL', state_key, 'epoch')
end

local function may_write(own, token, epoch)
  return epoch and own.token == token and own.epoch == epoch
end

-- Forgets what is recorded of offsets below `committed`, as far as it is recorded apart from what lies above.
local function trim(prefix, partition, committed)
  local key = prefix .. 'f:' .. partition
  for _, field in ipairs(call('HKEYS', key)) do
    if tonumber(match(field, '%d+$')) <= committed then
      call('HDEL', key, field)
    end
  end
end

-- What is recorded of one kind ('o', 'g') in a partition, by offset, as far as it is recorded together with offsets from
-- that of the first event on: what lies below is not asked for, and to read it costs more than to count.
local function load_recorded(prefix, partition, kind, events)
  local recorded, key, first = {}, prefix .. 'f:' .. partition, tonumber(events[1] or '0')
  for _, field in ipairs(call('HKEYS', key)) do
    if sub(field, 1, 1) == kind and tonumber(match(field, '%d+$')) > first then
      for line in gmatch(call('HGET', key, field), '[^\n]+') do
        recorded[match(line, '%d+')] = sub(line, -1) == ',' and sub(line, 1, -2) or line
      end
    end
  end
  return recorded
end

-- The runs in which some offset asked for nothing when it was observed, as far as they reach beyond `first`.
local function load_unasked(prefix, partition, first)
  local runs = {}
  for _, field in ipairs(call('HKEYS', prefix .. 'f:' .. partition)) do
    local from, next = match(field, '^u(%d+)%-(%d+)$')
    if from and tonumber(next) > first then
      runs[#runs + 1] = { from = tonumber(from), next = tonumber(next) }
    end
  end
  return runs
end

-- Where a run ends of which a call had this offset, which asked for nothing then: it can be decoded now, and is observed
-- as if it were new.
local function end_of_unasked(range, offset)
  for _, run in ipairs(range.unasked or {}) do
    if run.from <= offset and offset < run.next then
      return run.next
    end
  end
  return nil
end

-- Records lines under the first offset that is in them, which was in none before, so nothing is written over.
local function record(prefix, partition, kind, offset, next, lines)
  call('HSET', prefix .. 'f:' .. partition, kind .. offset .. '-' .. next, lines)
end

-- ---- Counters -----------------------------------------------------------------------------------------------------
--
-- A sliding window as counts in buckets of window / 16. The oldest bucket that overlaps the window counts whole, so a
-- count is never too low, and too high by at most what lies in one bucket.
--
-- Policies with different windows for a limit may follow each other, or be in force at once, and count into one counter.
-- So its buckets keep the widest window that was asked for in the last so long: a narrower one is summed from them. What
-- is stored then ends in one number more, its memory: the beginning, in ms, of the bucket in which the window was first
-- narrower, plus the width of buckets that the widest window since would have. 16 buckets later that one is taken.
--
-- A counter in Lua is { key, window (the widest that the call asks for), width, buckets = { width, bucket, count, ... },
-- n = #buckets or 0, memory, sum (in its window), others = its views by other windows, each { of, sum }, dirty }.

-- The same counts in buckets of another width: each goes where its last millisecond lies, which is never too early.
local function moved(old, n, width)
  local buckets, last = { width }, 1
  for i = 2, n, 2 do
    local bucket = floor(((old[i] + 1) * old[1] - 1) / width)
    if last > 1 and buckets[last - 1] == bucket then
      buckets[last] = buckets[last] + old[i + 1]
    else
      buckets[last + 1], buckets[last + 2] = bucket, old[i + 1]
      last = last + 2
    end
  end
  return buckets, last
end

-- What is stored, in buckets of `width` or, while a wider window is remembered, wider ones. Returns them, their length,
-- the memory to store, and whether that or the width is another than before.
local function shaped(old, width, now)
  local n, held, memory = #old, old[1], nil
  if n % 2 == 0 then
    memory, old[n], n = old[n], nil, n - 1
  end
  if held == width then
    return old, n, nil, memory ~= nil
  end
  if held < width then
    local buckets, last = moved(old, n, width)
    return buckets, last, nil, true
  end
  local present = floor(now / held)
  local since, widest = present, width
  if memory then
    since, widest = floor(memory / held), max(memory % held, width)
  end
  if since >= present - BUCKETS then
    local wanted = since * held + widest
    return old, n, wanted, wanted ~= memory
  end
  local buckets, last = moved(old, n, widest)
  return buckets, last, widest > width and floor(now / widest) * widest + width or nil, true
end

-- Without what has left the buckets' own window.
local function kept(old, n, now)
  local oldest = floor(now / old[1]) - BUCKETS
  local buckets, last = { old[1] }, 1
  for i = 2, n, 2 do
    if old[i] >= oldest then
      buckets[last + 1], buckets[last + 2] = old[i], old[i + 1]
      last = last + 2
    end
  end
  return buckets, last
end

local function sum_of(buckets, n, window, now)
  if n < 3 then
    return 0
  end
  local sum, oldest = 0, floor((now - window) / buckets[1])
  for i = 2, n, 2 do
    if buckets[i] >= oldest then
      sum = sum + buckets[i + 1]
    end
  end
  return sum
end

-- A clock that was set back counts into the latest bucket there is: longer than needed, never shorter.
local function count_one(seen, now)
  local counter = seen.of or seen
  local buckets, n = counter.buckets, counter.n
  local current = floor(now / counter.width)
  if n == 0 then
    counter.buckets, counter.n = { counter.width, current, 1 }, 3
  elseif n > 1 and buckets[n - 1] >= current then
    buckets[n] = buckets[n] + 1
  else
    buckets[n + 1], buckets[n + 2] = current, 1
    counter.n = n + 2
  end
  counter.sum = counter.sum + 1
  counter.dirty = true
  if counter.others then
    for _, other in pairs(counter.others) do
      other.sum = other.sum + 1
    end
  end
end

-- What is stored of a counter, as `window` needs it.
local function load_counter(key, raw, window, now)
  local width = ceil(window / BUCKETS)
  if not raw then
    return { key = key, window = window, width = width, n = 0, sum = 0, dirty = false }
  end
  local buckets, memory, is_changed = unpack_message(raw), nil, false
  local n = #buckets
  if buckets[1] ~= width or n % 2 == 0 then
    buckets, n, memory, is_changed = shaped(buckets, width, now)
    width = buckets[1]
  end
  if n > 1 and buckets[2] < floor(now / width) - BUCKETS then
    buckets, n = kept(buckets, n, now)
  end
  local sum = sum_of(buckets, n, window, now)
  return {
    key = key,
    window = window,
    width = width,
    buckets = buckets,
    n = n,
    memory = memory,
    sum = sum,
    dirty = is_changed,
  }
end

-- Reads every counter that `segments` name, once. A segment's counters lie flat, four values each, beginning with key
-- and window. Returns them by key, and in order.
local function load_counters(prefix, epoch, segments, now)
  local by_key, keys, names, windows, total = {}, {}, {}, {}, 0
  local start = prefix .. 'c:' .. (epoch or '') .. ':'
  for s = 1, #segments do
    local named = segments[s].counters
    for i = 1, #named, 4 do
      local name, window = named[i], named[i + 1]
      local known = by_key[name]
      if not known then
        total = total + 1
        by_key[name], names[total], keys[total], windows[total] = total, name, start .. name, window
      elseif window > windows[known] then
        windows[known] = window
      end
    end
  end
  local values, order = values_of(keys, total), {}
  for i = 1, total do
    local counter = load_counter(keys[i], values[i], windows[i], now)
    by_key[names[i]] = counter
    order[i] = counter
  end
  return by_key, order
end

-- A counter as a narrower window of the same call sees it.
local function seen_by(counter, window, now)
  counter.others = counter.others or {}
  local other = counter.others[window]
  if not other then
    other = { of = counter, sum = sum_of(counter.buckets, counter.n, window, now) }
    counter.others[window] = other
  end
  return other
end

-- The counters of one segment by their index in it.
local function counters_of(segment, by_key, now)
  local counters, named, total = {}, segment.counters, 0
  for i = 1, #named, 4 do
    local counter, window = by_key[named[i]], named[i + 1]
    total = total + 1
    counters[total] = counter.window == window and counter or seen_by(counter, window, now)
  end
  return counters
end

local function store_counters(order)
  local expiries = {}
  for i = 1, #order do
    local counter = order[i]
    if counter.dirty then
      local width, buckets = counter.width, counter.buckets
      local expiry = expiries[width] or format('%.0f', (BUCKETS + 2) * width)
      expiries[width] = expiry
      buckets[counter.n + 1] = counter.memory
      call('SET', counter.key, pack(buckets), 'PX', expiry)
    end
  end
end

-- ---- probe --------------------------------------------------------------------------------------------------------

-- Purpose  Tells whether calls would be served: it is refused where writes are (replica, out of memory, loading).
-- KEYS     1 {d}:state
-- ARGV     none
-- Returns  1
local function probe()
  return 1
end

-- ---- acquire ------------------------------------------------------------------------------------------------------

-- Whether what is known of a partition shows that state was lost. While a loss is being mended, partitions that this
-- epoch has not seen are expected. On a server that its last owner has not met, what was observed may be there and the
-- places that were taken after that not, unless it had heard of the commit, which came later still. Where somebody has set
-- the offset, that does not tell how far it was decided: unless all that was observed is known to be, the verdicts must.
local function acquisition_shows_loss(own, epoch, is_mending, is_met, claim)
  local committed = claim.committed
  if own.watermark and own.epoch == epoch then
    return committed and (own.watermark < min(committed, claim.needed) or not is_met and own.committed < committed
      or claim.is_set and (own.watermark > max(own.decided, committed) or not is_met))
      or own.reserved < claim.reserved
  end
  return not is_mending and (own.watermark or committed) ~= nil
end

-- Purpose  Takes partitions over, and notices that state was lost: a partition with a committed offset that state does
--          not know, has not observed so far, or knows from another epoch. A partition without either is new. State
--          without an owner is lost as a whole: an older release counted it elsewhere, or it was handed over.
--          Watermarks are raised to `needed` and never lowered, but where a new epoch begins: what was observed before it
--          and is read again is observed anew. Where state is not proven yet, or a partition is new in the
--          epoch, `remind` must follow as soon as the group has confirmed the caller, since only its rightful owner can
--          vouch for it. Tokens are times in microseconds, or one more than the last, so they grow
--          even across a loss of state and two owners never hold the same.
-- KEYS     1 {d}:state
-- ARGV     1 a random epoch, used if there is none
--          2 whose state this is: group and topic
--          then per partition: partition, committed offset or '', next offset to read, needed: the offset up to which
--          the watermark must have come (lower than committed where the caller can still catch up from memory), the
--          end of what asked for places, as far as the caller knows, and '1' if somebody has set the offset, else '0'
--          Without partitions nothing is changed.
-- Returns  { 'foreign', owner } with nothing changed, or { 'owned', '0' or '1': state is incomplete, '0' or '1': `remind`
--          must follow, and for each partition its token and the offset below which all was committed before, which is
--          beyond the next offset to read only where somebody has set the group's offset back }
local function acquire(keys, args)
  local state_key = keys[1]
  local prefix = prefix_of(state_key)
  local time = microseconds()
  local state, here = state_of(state_key), server_id()
  local epoch, lost_at, owner = state.epoch, state.lost_at, state.owner
  local unproven = is_unproven(here, state)
  if owner and owner ~= args[2] then
    return { 'foreign', owner }
  end
  if #args < 3 then
    return { 'owned', lost_at and '1' or '0', unproven and '1' or '0' }
  end
  local owns, lost = {}, epoch and not owner
  for i = 3, #args, 6 do
    local own = partition_of(prefix, args[i])
    local claim = {
      committed = tonumber(args[i + 1]),
      needed = tonumber(args[i + 3]),
      reserved = tonumber(args[i + 4]),
      is_set = args[i + 5] == '1',
    }
    local is_met = not unproven or own.server == here
    lost = lost or acquisition_shows_loss(own, epoch, epoch and lost_at, is_met, claim)
    owns[#owns + 1] = own
  end
  -- Nothing known is missing, which is a new deployment, or one that lost everything before its first commit.
  unproven = unproven or not epoch and not lost_at and not lost
  if lost or not epoch then
    epoch = args[1]
  end
  if lost then
    lost_at = format('%.0f', floor(time / 1000))
    call('HSET', state_key, 'lostAt', lost_at)
  end
  call('HSET', state_key, 'epoch', epoch, 'owner', args[2])
  move_to(state_key, here, unproven)
  local reply, must_remind = { 'owned', lost_at and '1' or '0' }, unproven
  for at, own in ipairs(owns) do
    local i = 6 * at - 3
    local key, start, needed = prefix .. 'p:' .. args[i], tonumber(args[i + 2]), args[i + 3]
    local token = format('%.0f', max(time, tonumber(own.token or '0') + 1))
    if own.epoch == epoch then
      local watermark = max(own.watermark, tonumber(needed))
      call('HSET', key, 'token', token, 'watermark', format('%.0f', watermark), 'committed', args[i + 2])
      -- What the caller is still to tell of is not forgotten before.
      trim(prefix, args[i], min(start, tonumber(needed)))
    else
      -- What was decided before somebody set the offset back is not observed again.
      local since = text(max(tonumber(needed), own.decided))
      call('HSET', key, 'token', token, 'watermark', needed, 'committed', args[i + 2], 'epoch', epoch, 'since', since,
        'reserved', args[i + 4])
      -- Who takes it may have slept, and it may have gone further in other hands.
      call('HDEL', key, 'server')
      must_remind = true
      call('UNLINK', prefix .. 'f:' .. args[i])
    end
    local decided = text(max(own.decided, start))
    call('HSET', key, 'decided', decided)
    reply[2 * at + 2], reply[2 * at + 3] = token, decided
  end
  reply[3] = must_remind and '1' or '0'
  return reply
end

-- ---- remind -------------------------------------------------------------------------------------------------------

-- Purpose  Holds state against what its owner knows of it. Behind a new connection may be a server that lacks the last
--          writes: a replica that took over, or a restart. Once every owner has found nothing missing, it is proven.
-- KEYS     1 {d}:state
-- ARGV     1 number of the topic's partitions
--          then per partition: partition, token, the watermark and the end of what asked for places, as the owner knows
--          them
-- Returns  { 'fenced', partition } where another owns it or something is missing, which ends the epoch; { 'ok' }
local function remind(keys, args)
  local prefix = prefix_of(keys[1])
  local state, here = state_of(keys[1]), server_id()
  local behind = nil
  for i = 2, #args, 4 do
    local own = partition_of(prefix, args[i])
    if not may_write(own, args[i + 1], state.epoch) then
      return { 'fenced', args[i] }
    end
    local is_behind = own.watermark < tonumber(args[i + 2]) or own.reserved < tonumber(args[i + 3])
    behind = behind or is_behind and args[i]
  end
  local unproven = is_unproven(here, state)
  move_to(keys[1], here, unproven)
  if behind then
    lose(keys[1], floor(microseconds() / 1000))
    return { 'fenced', behind }
  end
  for i = 2, #args, 4 do
    call('HSET', prefix .. 'p:' .. args[i], 'server', here)
  end
  if unproven and not first_unmet(prefix, here, state.epoch, tonumber(args[1])) then
    call('HDEL', keys[1], 'unproven')
  end
  return { 'ok' }
end

-- ---- observe ------------------------------------------------------------------------------------------------------

-- The ranges of a call with what state knows of their partitions, or the first partition that is not the caller's.
local function ranges_of(prefix, args, first, epoch)
  local ranges = {}
  for i = first, #args, 7 do
    local own = partition_of(prefix, args[i])
    if not may_write(own, args[i + 1], epoch) then
      return nil, args[i]
    end
    local message = unpack_message(args[i + 6])
    ranges[#ranges + 1] = {
      partition = args[i],
      from = tonumber(args[i + 2]),
      next = tonumber(args[i + 3]),
      next_text = args[i + 3],
      committed = max(own.committed, tonumber(args[i + 4])),
      was_committed = own.committed,
      watermark = own.watermark,
      is_quiet = args[i + 5] == 'quiet',
      counters = message[1],
      contexts = message[2],
      events = message[3],
    }
  end
  return ranges
end

-- Ranges of one partition in one call follow each other: each begins where the one before has brought the watermark.
local function chain(ranges)
  local watermarks = {}
  for _, range in ipairs(ranges) do
    range.watermark = max(watermarks[range.partition] or 0, range.watermark)
    watermarks[range.partition] = max(range.watermark, range.next)
  end
end

-- Whether something is missing of a range that was observed before, at least in part, and must be recorded. Below
-- `committed` nothing need be: only a call that was overtaken asks for it.
local function misses(range)
  local events, at = range.events, 1
  while at <= #events do
    local offset = tonumber(events[at])
    local is_missing = not range.recorded[events[at]] and offset < range.watermark and offset >= range.committed
    if is_missing and not end_of_unasked(range, offset) then
      return true
    end
    at = at + 4 + events[at + 3]
    at = at + 1 + events[at]
  end
  return false
end

-- The first partition of which a call shows that state was lost: a gap before a range, or facts that are gone.
local function shows_loss(prefix, ranges)
  local lost = nil
  for _, range in ipairs(ranges) do
    if range.from > range.watermark then
      lost = lost or range.partition
    elseif range.from < range.watermark then
      range.recorded = load_recorded(prefix, range.partition, 'o', range.events)
      range.unasked = load_unasked(prefix, range.partition, range.from)
      lost = lost or not range.is_quiet and misses(range) and range.partition
    end
  end
  return lost
end

-- Reads every context the ranges name, once. Returns hash -> JSON, 'null' where nothing is known.
local function load_contexts(prefix, ranges)
  local by_hash, hashes, keys, total = {}, {}, {}, 0
  local start = prefix .. 'x:'
  for _, range in ipairs(ranges) do
    local named = range.contexts
    for i = 1, #named, 2 do
      local hash = named[i]
      if not by_hash[hash] then
        by_hash[hash] = 'null'
        total = total + 1
        hashes[total], keys[total] = hash, start .. hash
      end
    end
  end
  local values = values_of(keys, total)
  for i = 1, total do
    by_hash[hashes[i]] = values[i] or 'null'
  end
  return by_hash
end

-- The name and value of each context of a range, as JSON to be pasted, by its index in the range.
local function context_texts(range, by_hash)
  local texts, named, total = {}, range.contexts, 0
  for i = 1, #named, 2 do
    total = total + 1
    texts[total] = named[i + 1] .. by_hash[named[i]]
  end
  return texts
end

-- What came before an event under the same action key, as 'partition:offset:digest', or nil. An event is never its own
-- predecessor, even where it is observed anew after a loss.
local function predecessor(scope, action_key, position, digest)
  if scope.duplicates_ms == '0' then
    return nil
  end
  local key = scope.events_prefix .. action_key
  local first = call('SET', key, position .. digest, 'NX', 'GET', 'PX', scope.duplicates_ms)
  if not first or sub(first, 1, #position) == position then
    return nil
  end
  return first
end

-- Appends what is seen of one event to `out` from `o` on, as JSON, and counts it. Returns the last place used.
local function observe_event(out, o, events, at, view, scope)
  local offset, digest = events[at], events[at + 2]
  local last = at + 3 + events[at + 3]
  local first = predecessor(scope, events[at + 1], view.own .. offset .. ':', digest)
  local is_repeat = first and match(first, '^%d+:%d+:(.*)$') == digest
  out[o + 1], out[o + 2], out[o + 3] = '[', offset, scope.head
  o = o + 3
  if first then
    out[o + 1], out[o + 2], out[o + 3] = '"', first, '",['
    o = o + 3
  else
    o = o + 1
    out[o] = 'null,['
  end
  for i = at + 4, last do
    local index = events[i]
    local counter, field = view.counters[index], 4 * (index - 1)
    out[o + 1], out[o + 2], out[o + 3] = view.named[field + 3], text(counter.sum), i < last and ',' or ''
    o = o + 3
    if view.named[field + 4] == 1 and not is_repeat then
      count_one(counter, scope.now)
    end
  end
  out[o + 1] = '],['
  o = o + 1
  local final = last + 1 + events[last + 1]
  for i = last + 2, final do
    out[o + 1], out[o + 2] = view.contexts[events[i]], i < final and ',' or ''
    o = o + 2
  end
  out[o + 1] = ']]'
  return o + 1
end

-- A range's counters and contexts by the index that its events mean them with.
local function view_of(range, scope)
  return {
    own = range.partition .. ':',
    named = range.counters,
    counters = counters_of(range, scope.counters, scope.now),
    contexts = context_texts(range, scope.contexts),
  }
end

-- Records that not every offset from `first` on asked for something, unless it is all committed.
local function note_unasked(range, first, asked, scope)
  if asked < range.next - first and range.next > range.committed then
    record(scope.prefix, range.partition, 'u', text(first), range.next_text, '')
  end
end

-- Observes a range that begins at the watermark or beyond it. Returns its observations.
local function apply_new(range, scope)
  local events, view, out, o, at, total = range.events, view_of(range, scope), {}, 0, 1, #range.events
  local asked = 0
  while at <= total do
    if o > 0 then
      o = o + 1
      out[o] = ',\n'
    end
    o = observe_event(out, o, events, at, view, scope)
    asked = asked + 1
    at = at + 4 + events[at + 3]
    at = at + 1 + events[at]
  end
  local lines = concat(out)
  if total > 0 then
    record(scope.prefix, range.partition, 'o', events[1], range.next_text, lines)
  end
  note_unasked(range, range.from, asked, scope)
  return lines
end

-- Observes what is new in a range of which some was observed before, what could not be asked for then, and what is
-- missing. Returns the observations of all its events, in order. What is observed late is recorded for as long as it is
-- known that it had asked for nothing, so that it is counted once.
local function apply_mixed(range, scope)
  local events, view, at = range.events, view_of(range, scope), 1
  local lines, fresh, first_fresh, fresh_next = {}, {}, nil, range.next
  local first_new, asked = max(range.from, range.watermark), 0
  while at <= #events do
    local offset = events[at]
    local number, line = tonumber(offset), range.recorded and range.recorded[offset]
    local unasked_next = not line and number < range.watermark and end_of_unasked(range, number)
    local is_settled = number < range.committed
    if range.is_quiet then
      is_settled = not unasked_next
    end
    local is_observed = number < range.watermark and is_settled
    if number >= first_new and number < range.next then
      asked = asked + 1
    end
    if not line and (is_observed or number >= range.next) then
      line = 'null'
    elseif not line then
      local out = {}
      observe_event(out, 0, events, at, view, scope)
      line = concat(out)
      if number >= range.committed or unasked_next then
        first_fresh = first_fresh or offset
        fresh_next = max(fresh_next, unasked_next or 0)
        fresh[#fresh + 1] = line
      end
    end
    lines[#lines + 1] = line
    at = at + 4 + events[at + 3]
    at = at + 1 + events[at]
  end
  if first_fresh then
    record(scope.prefix, range.partition, 'o', first_fresh, text(fresh_next), concat(fresh, ',\n'))
  end
  note_unasked(range, first_new, asked, scope)
  return range.is_quiet and '' or concat(lines, ',\n')
end

-- Moves a partition's watermark and committed offset on.
local function finish_range(prefix, range)
  local watermark = max(range.watermark, range.next)
  call('HSET', prefix .. 'p:' .. range.partition, 'watermark', format('%.0f', watermark), 'committed',
    format('%.0f', range.committed))
end

-- Purpose  Counts events and reads what their decisions need, once per offset: an offset that was observed before gets
--          its recorded observation, however the batches were cut then and whatever the policy says now. Ranges with
--          the mode 'quiet' catch up on what the caller could not tell in time: they count what is new in them, and
--          answer nothing.
--          A gap between the watermark and a range, or a fact that should be recorded and is not, shows that state was
--          lost, which ends the epoch.
--          Offsets below the committed one that were observed before are passed over (null): only a call that arrives
--          after its caller gave up on it has such.
-- KEYS     1 {d}:state
-- ARGV     1 how long an action key is remembered, whole ms, '0' for not at all
--          2 how long a loss is felt, ms
--          then per range: partition, token, from, next, committed, mode ('answer' or 'quiet'), and a MessagePack array
--          of three flat arrays:
--            counters  key, window in ms, limit id as JSON and a comma, 1 if proposals are counted here and 0 if not; ...
--            contexts  hash, name as JSON and a comma; ...
--            events    offset as text, action key, digest, number of counters, their indices from 1, number of
--                      contexts, their indices from 1; ...
-- Returns  { 'fenced', partition } with nothing counted, or { 'ok', text, ... }: per range '' if it was quiet, else one
--          observation for each event as JSON, parted by commas: [offset, now, lost (0, 1), first
--          ("partition:offset:digest" or null), [limit id, count before, ...], [context name, context, ...]]
local function observe(keys, args)
  local state_key = keys[1]
  local prefix = prefix_of(state_key)
  local now = floor(microseconds() / 1000)
  local state = call('HMGET', state_key, 'epoch', 'lostAt', 'unproven')
  local ranges, stranger = ranges_of(prefix, args, 3, state[1])
  if not ranges then
    return { 'fenced', stranger }
  end
  chain(ranges)
  local gap = shows_loss(prefix, ranges)
  if gap then
    lose(state_key, now)
    return { 'fenced', gap }
  end
  local lost_at = state[2] and tonumber(state[2])
  local counters, order = load_counters(prefix, state[1], ranges, now)
  local is_lost = state[3] or lost_at and now < lost_at + tonumber(args[2])
  local scope = {
    prefix = prefix,
    events_prefix = prefix .. 'e:',
    now = now,
    duplicates_ms = args[1],
    counters = counters,
    contexts = load_contexts(prefix, ranges),
    head = ',' .. format('%.0f', now) .. (is_lost and ',1,' or ',0,'),
  }
  local reply = { 'ok' }
  for i, range in ipairs(ranges) do
    if range.committed > range.was_committed then
      trim(prefix, range.partition, range.committed)
    end
    local is_new = range.from >= range.watermark and not range.is_quiet
    reply[i + 1] = is_new and apply_new(range, scope) or apply_mixed(range, scope)
    finish_range(prefix, range)
  end
  store_counters(order)
  return reply
end

-- ---- reserve ------------------------------------------------------------------------------------------------------

local function claim(range, at, scope, by_index)
  local events, named = range.events, range.counters
  local granted, counts = true, {}
  for i = at + 2, at + 1 + events[at + 1] do
    local index = events[i]
    local field = 4 * (index - 1)
    local before = by_index[index].sum
    granted = granted and before + 1 <= named[field + 4]
    counts[#counts + 1] = named[field + 3] .. text(before)
  end
  if granted then
    for i = at + 2, at + 1 + events[at + 1] do
      count_one(by_index[events[i]], scope.now)
    end
  end
  return '[' .. events[at] .. (granted and ',1,[' or ',0,[') .. concat(counts, ',') .. ']]'
end

local function reserve_range(range, scope)
  local events, at, last = range.events, 1, nil
  local by_index = counters_of(range, scope.counters, scope.now)
  local lines, fresh, first_fresh = {}, {}, nil
  while at <= #events do
    local offset = events[at]
    local line = range.recorded[offset] or (tonumber(offset) < range.committed and 'null')
    if not line then
      line = claim(range, at, scope, by_index)
      first_fresh, last = first_fresh or offset, tonumber(offset)
      fresh[#fresh + 1] = line
    end
    lines[#lines + 1] = line
    at = at + 2 + events[at + 1]
  end
  if first_fresh then
    local next = format('%.0f', last + 1)
    record(scope.prefix, range.partition, 'g', first_fresh, next, concat(fresh, ',\n'))
    if last >= range.reserved then
      call('HSET', scope.prefix .. 'p:' .. range.partition, 'reserved', next)
    end
  end
  return concat(lines, ',\n')
end

-- Purpose  Takes places in execution limits, once per offset, in order: one place in every limit that covers the event
--          if all of them have room, none otherwise. An offset that has its answer keeps it.
-- KEYS     1 {d}:state
-- ARGV     per range: partition, token, and a MessagePack array of two flat arrays:
--            counters  key, window in ms, limit id as JSON and a comma, max; ...
--            claims    offset as text, number of counters, their indices from 1; ...
-- Returns  { 'fenced', partition } or { 'unproven' } with nothing changed, the latter where this server may lack places that
--          were taken on another (facts that were recorded there do not say so); or { 'ok', text, ... }: per range one grant for each
--          claim as JSON, parted by commas: [offset, granted (0, 1), [limit id, count before, ...]]; null below the
--          committed offset
local function reserve(keys, args)
  local prefix = prefix_of(keys[1])
  local now = floor(microseconds() / 1000)
  local state = call('HMGET', keys[1], 'epoch', 'unproven')
  local epoch = state[1]
  local ranges = {}
  for i = 1, #args, 3 do
    local own = partition_of(prefix, args[i])
    if not may_write(own, args[i + 1], epoch) then
      return { 'fenced', args[i] }
    end
    local message = unpack_message(args[i + 2])
    local range = {
      partition = args[i],
      committed = own.committed,
      reserved = own.reserved,
      counters = message[1],
      events = message[2],
    }
    range.recorded = load_recorded(prefix, range.partition, 'g', range.events)
    ranges[#ranges + 1] = range
  end
  if state[2] then
    return { 'unproven' }
  end
  local counters, order = load_counters(prefix, epoch, ranges, now)
  local scope = { prefix = prefix, now = now, counters = counters }
  local reply = { 'ok' }
  for i, range in ipairs(ranges) do
    reply[i + 1] = reserve_range(range, scope)
  end
  store_counters(order)
  return reply
end

-- ---- attempts -----------------------------------------------------------------------------------------------------
--
-- A process that dies at a record leaves its attempt open. One that lets go of its partitions in order ends it, and one
-- that comes again to its own has not died, so restarts and rebalances do not count. Attempts know nothing of tokens and
-- epochs: a count that is lost or one too high costs an attempt more or less, and no exactness.

-- What is known of earlier attempts at a partition, as of one that begins at `start`: deaths, and the offset up to which
-- records are suspected. What was committed meanwhile is not suspected any more, but in the run that goes one by one.
local function attempts_at(known, run, start)
  local from, deaths, untl = tonumber(known[2] or '-1'), tonumber(known[3] or '0'), tonumber(known[4] or '0')
  local reading = tonumber(known[5] or '')
  if start ~= from then
    local is_within = deaths >= 2 and from < start and start < untl
    deaths, untl = is_within and 2 or 0, is_within and untl or 0
  end
  local has_died = known[1] and known[1] ~= '' and known[1] ~= run
  local counts = has_died and (deaths == 0 or deaths == 1 and reading or deaths == 2 and reading == start)
  return counts and deaths + 1 or deaths, untl
end

-- Purpose  Begins an attempt at each partition, before any of its records is read. A death is counted where the last
--          attempt was another process' and has no end. The first needs no more than that; the second, that the process
--          had begun to decode; the third, that it was decoding one record, alone, at `start`.
-- KEYS     1 {d}:state
-- ARGV     1 run: a name that no other process has; then per partition: partition, next offset to read
-- Returns  { deaths, until, ... } per partition
local function begin_attempts(keys, args)
  local prefix, reply = prefix_of(keys[1]), {}
  for i = 2, #args, 2 do
    local key = prefix .. 'a:' .. args[i]
    local known = call('HMGET', key, 'run', 'start', 'deaths', 'until', 'reading')
    local deaths, untl = attempts_at(known, args[1], tonumber(args[i + 1]))
    reply[#reply + 1], reply[#reply + 2] = text(deaths), text(untl)
    call('HSET', key, 'run', args[1], 'start', args[i + 1], 'deaths', text(deaths), 'until', text(untl))
    call('HDEL', key, 'reading')
  end
  return reply
end

-- Purpose  Says what is about to be decoded, where there were deaths.
-- KEYS     1 {d}:state
-- ARGV     1 run; then per partition: partition, first offset, next offset after it
-- Returns  the number of partitions that were still the caller's
local function begin_reading(keys, args)
  local prefix, noted = prefix_of(keys[1]), 0
  for i = 2, #args, 3 do
    local key = prefix .. 'a:' .. args[i]
    local known = call('HMGET', key, 'run', 'until')
    if known[1] == args[1] then
      local untl = max(tonumber(known[2]), tonumber(args[i + 2]))
      call('HSET', key, 'reading', args[i + 1], 'until', text(untl))
      noted = noted + 1
    end
  end
  return noted
end

-- Purpose  Ends attempts in order.
-- KEYS     1 {d}:state
-- ARGV     1 run; then partitions
-- Returns  the number of partitions that were still the caller's
local function end_attempts(keys, args)
  local prefix, ended = prefix_of(keys[1]), 0
  for i = 2, #args do
    local key = prefix .. 'a:' .. args[i]
    if call('HGET', key, 'run') == args[1] then
      call('HSET', key, 'run', '')
      ended = ended + 1
    end
  end
  return ended
end

-- ---- rebuild ------------------------------------------------------------------------------------------------------
--
-- What was counted before a loss is restored from the verdicts, while owners go on counting into the same counters. One
-- process at a time does it; how far each place (a partition of a verdict topic) was restored is stored with the counts,
-- so whoever goes on neither misses nor doubles any. A new loss begins a new epoch, and the rebuild begins anew. A failover
-- in between may take back what was restored and leave the epoch as it is, so every run names the place's last one.

-- Purpose  Asks for the right to restore, or keeps it.
-- KEYS     1 {d}:state
-- ARGV     1 holder: a name that no other process has, 2 how long the right lasts, ms, 3 number of input partitions
-- Returns  { 'whole' }: nothing is missing
--          { 'unproven', partition }: its owner has not met this server, so it is not known whether anything is missing, or
--          whether what is to be restored begins where its last owner believed
--          { 'waiting', partition }: nobody has taken the partition in this epoch, so what is to be restored is not known
--          { 'held', progress }: another process restores
--          { 'yours', epoch, now, when state was lost (ms), since of partition 0, since of partition 1, ..., place, next offset of it, ... }
local function claim_rebuild(keys, args)
  local prefix = prefix_of(keys[1])
  local key = prefix .. 'rebuild'
  local now = floor(microseconds() / 1000)
  local state = state_of(keys[1])
  local epoch, here = state.epoch, server_id()
  if not state.lost_at then
    local unmet = is_unproven(here, state) and first_unmet(prefix, here, epoch, tonumber(args[3]))
    return unmet and { 'unproven', unmet } or { 'whole' }
  end
  local reply = { 'yours', epoch, format('%.0f', now), state.lost_at }
  for partition = 0, tonumber(args[3]) - 1 do
    local own = call('HMGET', prefix .. 'p:' .. partition, 'epoch', 'since', 'server')
    if not epoch or own[1] ~= epoch then
      return { 'waiting', text(partition) }
    end
    if own[3] ~= here then
      return { 'unproven', text(partition) }
    end
    reply[#reply + 1] = own[2]
  end
  local held = call('HMGET', key, 'epoch', 'holder', 'until', 'progress')
  local is_of_epoch = held[1] == epoch
  if is_of_epoch and held[2] ~= args[1] and now < tonumber(held[3]) then
    return { 'held', held[4] or '0' }
  end
  local fields = is_of_epoch and call('HGETALL', key) or {}
  if not is_of_epoch then
    call('UNLINK', key, prefix .. 'blind')
  end
  call('HSET', key, 'epoch', epoch, 'holder', args[1], 'until', format('%.0f', now + tonumber(args[2])))
  for i = 1, #fields, 2 do
    if sub(fields[i], 1, 1) == '@' then
      reply[#reply + 1] = sub(fields[i], 2)
      reply[#reply + 1] = fields[i + 1]
    end
  end
  return reply
end

local function may_restore(state_key, rebuild_key, holder, epoch)
  local held = call('HMGET', rebuild_key, 'epoch', 'holder')
  return held[1] == epoch and held[2] == holder and call('HGET', state_key, 'epoch') == epoch
end

-- The counts of two lists of buckets in one, in the wider shape of the two, without what has left its window. A bucket
-- goes where its last millisecond lies, which is never too early.
local function merged(a, b, now)
  local width, counts, places = max(a[1], b[1]), {}, {}
  local oldest = floor(now / width) - BUCKETS
  for _, list in ipairs({ a, b }) do
    for i = 2, #list, 2 do
      local bucket = list[1] == width and list[i] or floor(((list[i] + 1) * list[1] - 1) / width)
      if bucket >= oldest then
        if not counts[bucket] then
          places[#places + 1] = bucket
        end
        counts[bucket] = (counts[bucket] or 0) + list[i + 1]
      end
    end
  end
  sort(places)
  local buckets = { width }
  for _, bucket in ipairs(places) do
    buckets[#buckets + 1] = bucket
    buckets[#buckets + 1] = counts[bucket]
  end
  return buckets
end

local function add_counts(key, held, more, now)
  local old, memory = held and unpack_message(held) or { more[1] }, nil
  if #old % 2 == 0 then
    memory, old[#old] = old[#old], nil
  end
  local buckets = merged(old, more, now)
  if #buckets == 1 then
    return
  end
  if memory and more[1] < old[1] then
    buckets[#buckets + 1] = memory + max(0, more[1] - memory % old[1])
  end
  call('SET', key, pack(buckets), 'PX', format('%.0f', (BUCKETS + 2) * buckets[1]))
end

-- Remembers an event by its action key for `left` ms. Returns the event that is known by it already, if there is one.
local function know_event(key, value, left)
  if left <= 0 then
    return nil
  end
  local expiry = format('%.0f', left)
  -- The same key may come twice in a run, so what is there now counts, not what was there before.
  local known = call('SET', key, value, 'NX', 'GET', 'PX', expiry)
  if known and left < call('PTTL', key) then
    call('SET', key, value, 'PX', expiry)
  end
  return known
end

-- Whether an event repeats one that is restored. One that this epoch has observed itself may have counted less, by
-- another policy.
local function repeats(prefix, value, known)
  local partition, offset, digest = match(known, '^(%d+):(%d+):(.*)$')
  local since = tonumber(call('HGET', prefix .. 'p:' .. partition, 'since') or '0')
  return known ~= value and digest == match(value, '^%d+:%d+:(.*)$') and tonumber(offset) < since
end

local function restore_blind(prefix, epoch, events, now)
  local at = 1
  while at <= #events do
    local value, last = events[at + 1], at + 3 + 3 * events[at + 3]
    local known = know_event(prefix .. 'e:' .. events[at], value, events[at + 2] - now)
    if not known or not repeats(prefix, value, known) then
      for i = at + 4, last, 3 do
        local key = prefix .. 'c:' .. epoch .. ':' .. events[i]
        add_counts(key, values_of({ key }, 1)[1], { events[i + 1], events[i + 2], 1 }, now)
      end
    end
    at = last + 1
  end
end

-- Learns how far a partition was decided. Its owner has come as far, unless somebody has set the group's offset back. Then
-- the epoch counts from too far down, and another one must begin once it is known how far.
local function restore_decided(prefix, partition, next)
  local own = partition_of(prefix, partition)
  if next <= own.decided then
    return
  end
  local key = prefix .. 'p:' .. partition
  call('HSET', key, 'decided', text(next))
  if own.token and own.watermark < next then
    call('HSET', key, 'token', format('%.0f', own.token + 1))
    call('HSET', prefix .. 'rebuild', 'setBack', '1')
  end
end

-- Purpose  Restores what a run of verdicts counted, once: it must follow the last one of its place.
--          An action key keeps the earliest of its events, which is the one that is forgotten first.
-- KEYS     1 {d}:state
-- ARGV     1 holder, 2 epoch, 3 how long the right lasts from now, ms, 4 progress, for others to show
--          5 place, 6 next offset of the place so far, '' for its first run, 7 next offset after the run
--          8 MessagePack array of two flat arrays:
--            counters  key, array [bucket width, bucket, count, bucket, count, ...]; ...
--            events    action key, "partition:offset:digest", when it is forgotten (ms); ...
--          9 '' or a MessagePack array of events that were decided without state, and are counted at the end, unless they
--          repeat another one: action key, "partition:offset:digest", when it is forgotten (ms), number of counters,
--          then per counter key, bucket width, bucket; ...
--          then per partition of the input that has verdicts in the run: partition, offset after the last of them. An
--          owner that reads below it took the partition before that was known, and must take it again.
-- Returns  { 'restored' }, or with nothing changed { 'fenced' } (another process restores, or state was lost again) or
--          { 'behind', next offset of the place, '' where nothing of it is restored }
local function restore(keys, args)
  local prefix = prefix_of(keys[1])
  local key = prefix .. 'rebuild'
  local now = floor(microseconds() / 1000)
  if not may_restore(keys[1], key, args[1], args[2]) then
    return { 'fenced' }
  end
  local place = '@' .. args[5]
  local reached = call('HGET', key, place) or ''
  if reached ~= args[6] then
    return { 'behind', reached }
  end
  local message = unpack_message(args[8])
  local counters, events = message[1], message[2]
  local counter_keys, event_keys = {}, {}
  for i = 1, #counters, 2 do
    counter_keys[#counter_keys + 1] = prefix .. 'c:' .. args[2] .. ':' .. counters[i]
  end
  for i = 1, #events, 3 do
    event_keys[#event_keys + 1] = prefix .. 'e:' .. events[i]
  end
  local counts = values_of(counter_keys, #counter_keys)
  for at, counter_key in ipairs(counter_keys) do
    add_counts(counter_key, counts[at], counters[2 * at], now)
  end
  for at, event_key in ipairs(event_keys) do
    know_event(event_key, events[3 * at - 1], events[3 * at] - now)
  end
  if args[9] ~= '' then
    call('HSET', prefix .. 'blind', args[5] .. ' ' .. args[7], args[9])
  end
  for i = 10, #args, 2 do
    restore_decided(prefix, args[i], tonumber(args[i + 1]))
  end
  call('HSET', key, place, args[7], 'until', format('%.0f', now + tonumber(args[3])), 'progress', args[4])
  return { 'restored' }
end

-- Purpose  Says that all was restored: from now on nothing is missing. Counts what was decided without state before that, a
--          run a call.
-- KEYS     1 {d}:state
-- ARGV     1 holder, 2 epoch, 3 how long the right lasts from now, ms
--          then per place that was restored: place, next offset of it
-- Returns  { 'more' }: to be called again; { 'done' }, or { 'fenced' }: another restores, or must begin anew. Nothing is changed
--          then where a place is not as far; where offsets turned out to be set back, the epoch has ended
local function finish_rebuild(keys, args)
  local prefix = prefix_of(keys[1])
  local key, blind = prefix .. 'rebuild', prefix .. 'blind'
  local now = floor(microseconds() / 1000)
  if not may_restore(keys[1], key, args[1], args[2]) then
    return { 'fenced' }
  end
  for i = 4, #args, 2 do
    if call('HGET', key, '@' .. args[i]) ~= args[i + 1] then
      return { 'fenced' }
    end
  end
  local run = nil
  for _, other in ipairs(call('HKEYS', blind)) do
    run = run and run < other and run or other
  end
  if run then
    restore_blind(prefix, args[2], unpack_message(call('HGET', blind, run)), now)
    call('HDEL', blind, run)
    call('HSET', key, 'until', format('%.0f', now + tonumber(args[3])))
    return { 'more' }
  end
  if call('HGET', key, 'setBack') then
    lose(keys[1], now)
    call('UNLINK', key)
    return { 'fenced' }
  end
  call('HDEL', keys[1], 'lostAt')
  call('UNLINK', key)
  return { 'done' }
end

-- ---- put_context --------------------------------------------------------------------------------------------------

-- Purpose  Applies a run of the context topic: a newer version replaces an older one, an equal or older one changes
--          nothing, a tombstone forgets. How far each partition of the topic was applied is stored with it, so that a
--          loss of state shows: the run must begin where the last one ended. What another updater has applied already
--          is passed over, or a tombstone that comes late would remove what is newer.
-- KEYS     1 {d}:state
-- ARGV     1 partition of the context topic, 2 first offset of the run, or '' to start over, 3 next offset after it
--          then per record: offset, hash, version, JSON ('' for a tombstone)
-- Returns  { 'applied', number of contexts changed }, or { 'behind', next offset to apply, or '' to start over } with
--          nothing changed
local function put_context(keys, args)
  local prefix = prefix_of(keys[1])
  local positions_key, partition = prefix .. 'context', args[1]
  local stored = call('HGET', positions_key, partition)
  local from, applied = tonumber(args[2]), tonumber(stored or '')
  if from and (not applied or applied < from) then
    return { 'behind', stored or '' }
  end
  local context_keys = {}
  for i = 4, #args, 4 do
    context_keys[#context_keys + 1] = prefix .. 'x:' .. args[i + 1]
  end
  local known, changed = values_of(context_keys, #context_keys), 0
  local latest = {}
  for at, key in ipairs(context_keys) do
    local i = 4 * at
    if latest[key] == nil then
      latest[key] = known[at]
    end
    local value = latest[key]
    local version = value and tonumber(match(value, '^{"version":(%-?%d+)'))
    local is_new = not from or tonumber(args[i]) >= applied
    local is_later = args[i + 3] == '' and value or args[i + 3] ~= '' and (not version or tonumber(args[i + 2]) > version)
    if is_new and is_later then
      latest[key] = args[i + 3] ~= '' and args[i + 3]
      changed = changed + 1
    end
  end
  for key, value in pairs(latest) do
    if value then
      call('SET', key, value)
    else
      call('UNLINK', key)
    end
  end
  if not from or tonumber(args[3]) > applied then
    call('HSET', positions_key, partition, args[3])
  end
  return { 'applied', changed }
end

-- Purpose  Tells how far the context topic was applied.
-- KEYS     1 {d}:state
-- ARGV     none
-- Returns  { partition, next offset to apply, ... }
local function context_positions(keys)
  return call('HGETALL', prefix_of(keys[1]) .. 'context')
end

local function register(name, run)
  redis.register_function('sluice_VERSION_' .. name, function(keys, args)
    if not call then
      begin()
    end
    return run(keys, args)
  end)
end

register('probe', probe)
register('acquire', acquire)
register('remind', remind)
register('observe', observe)
register('reserve', reserve)
register('begin_attempts', begin_attempts)
register('begin_reading', begin_reading)
register('end_attempts', end_attempts)
register('claim_rebuild', claim_rebuild)
register('restore', restore)
register('finish_rebuild', finish_rebuild)
register('put_context', put_context)
register('context_positions', context_positions)
