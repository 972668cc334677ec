import { createHash } from "node:crypto";

/** A Lua script, run atomically by the server that owns its keys. */
export interface Script {
  readonly lua: string;
  readonly sha: string;
}

/**
 * What all scripts of the log begin with. KEYS: meta, stream, replicas. ARGV[1]: a random name for a new epoch.
 *
 * An epoch is one uninterrupted history. It ends when entries may have been lost: the server is another process than the
 * one that wrote them (run_id: restarted, or another node), was promoted (master_replid, which every promotion changes,
 * even when a process is demoted and promoted again), or the stream does not end where the last append left it.
 */
const PRELUDE = `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function whole(number) return string.format('%.0f', number) end

local function before(a, b)
  local a1, a2 = string.match(a, '^(%d+)%-(%d+)$')
  local b1, b2 = string.match(b, '^(%d+)%-(%d+)$')
  a1, a2, b1, b2 = tonumber(a1), tonumber(a2), tonumber(b1), tonumber(b2)
  return a1 < b1 or (a1 == b1 and a2 < b2)
end

local function incarnation()
  local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  local history = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
  if not run or not history then error('INFO names no run_id or master_replid') end
  return run .. '/' .. history
end

local function lastId()
  if redis.call('EXISTS', KEYS[2]) == 0 then return '0-0' end
  local info = redis.call('XINFO', 'STREAM', KEYS[2])
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return info[i + 1] end
  end
end

local function renew(incarnation, head)
  redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'incarnation', incarnation, 'head', head, 'trimmed', '0-0',
    'born', whole(now))
  return { epoch = ARGV[1], head = head, trimmed = '0-0', born = now }
end

local function open()
  local meta = redis.call('HMGET', KEYS[1], 'epoch', 'incarnation', 'head', 'trimmed', 'born')
  local current, head = incarnation(), lastId()
  if not meta[1] or meta[2] ~= current or meta[3] ~= head then return renew(current, head) end
  return { epoch = meta[1], head = head, trimmed = meta[4], born = tonumber(meta[5]) }
end

local function dropOldLeases(maxAge)
  local leases = redis.call('HGETALL', KEYS[3])
  for i = 1, #leases, 2 do
    local at = tonumber(string.match(leases[i + 1], ' (%d+)$'))
    if not at or now - at > maxAge then redis.call('HDEL', KEYS[3], leases[i]) end
  end
end
`;

/**
 * ARGV: 2 the entry as JSON, 3 the channel, 4 how long entries are kept in milliseconds. Returns epoch, id and whether the
 * entry was published: it is in the log even if not.
 */
export const APPEND = script(`${PRELUDE}
local log = open()
local id = redis.call('XADD', KEYS[2], '*', 'e', ARGV[2])
local oldest = whole(now - tonumber(ARGV[4]))
redis.call('HSET', KEYS[1], 'head', id)
if before(redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1][1], oldest .. '-0') then
  local trimmed = redis.call('XREVRANGE', KEYS[2], '(' .. oldest .. '-0', '-', 'COUNT', 1)[1][1]
  redis.call('HSET', KEYS[1], 'trimmed', trimmed)
  redis.call('XTRIM', KEYS[2], 'MINID', oldest)
end
local event = '{"cursor":"' .. log.epoch .. '.' .. id .. '",' .. string.sub(ARGV[2], 2)
local published = redis.pcall('PUBLISH', ARGV[3], event)
return { log.epoch, id, type(published) == 'number' and 1 or 0 }
`);

/**
 * One page. ARGV: 2 who reads, 3 and 4 epoch and id up to which it has applied the log (empty: nothing), 5 and 6 epoch and
 * id after which the page begins, 7 entries per page, 8 age in milliseconds at which leases are dropped. Returns epoch,
 * whether the page begins at the beginning instead, the end of the log, the entries, and the age of the epoch.
 *
 * The lease is written on every read, before the reader has the reply and may act on it. It is a write also so that a
 * primary that has lost its replicas, and must refuse writes, does not pass for the end of the log.
 */
export const READ = script(`${PRELUDE}
local log = open()
if ARGV[5] == log.epoch and before(log.head, ARGV[6]) then log = renew(incarnation(), log.head) end
local function continues(epoch, id) return epoch == log.epoch and not before(id, log.trimmed) end
local applied = continues(ARGV[3], ARGV[4]) and ARGV[3] .. '.' .. ARGV[4] or '-'
if ARGV[3] == '' then dropOldLeases(tonumber(ARGV[8])) end
redis.call('HSET', KEYS[3], ARGV[2], applied .. ' ' .. whole(now))
local restarted = not continues(ARGV[5], ARGV[6])
local from = restarted and '-' or '(' .. ARGV[6]
local entries = redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', ARGV[7])
return { log.epoch, restarted and 1 or 0, log.head, entries, math.max(0, now - log.born) }
`);

/**
 * Who has applied the log up to a cursor. ARGV: 2 and 3 its epoch and id, 4 the staleness bound, 5 age at which leases are
 * dropped, both in milliseconds. Returns whether leases may be missing, and the readers that have applied it, those that
 * have not but may still use their caches, and those that have not and may not.
 *
 * A reader that follows the present epoch has dropped its caches on entering it, so it needs nothing of an older one. Leases
 * written before the epoch began may be lost; by when it is older than the bound, they would have run out.
 */
export const FLEET = script(`${PRELUDE}
local log = open()
local bound = tonumber(ARGV[4])
dropOldLeases(tonumber(ARGV[5]))
local leases = redis.call('HGETALL', KEYS[3])
local confirmed, outstanding, suspended = {}, {}, {}
for i = 1, #leases, 2 do
  local epoch, id = string.match(leases[i + 1], '^(%w+)%.(%d+%-%d+) ')
  local at = tonumber(string.match(leases[i + 1], ' (%d+)$'))
  local applied = epoch == log.epoch and (ARGV[2] ~= log.epoch or not before(id, ARGV[3]))
  local group = applied and confirmed or now - at <= bound and outstanding or suspended
  table.insert(group, leases[i])
end
return { now - log.born <= bound and 1 or 0, confirmed, outstanding, suspended }
`);

/** The leases of all readers. Returns for each its name, how far it has applied the log, `-` for not at all, and its age. */
export const LEASES = script(`${PRELUDE}
local log = open()
local leases = redis.call('HGETALL', KEYS[3])
local replies = {}
for i = 1, #leases, 2 do
  local epoch, id = string.match(leases[i + 1], '^(%w+)%.(%d+%-%d+) ')
  local at = tonumber(string.match(leases[i + 1], ' (%d+)$')) or 0
  table.insert(replies, { leases[i], epoch == log.epoch and epoch .. '.' .. id or '-', now - at })
end
return replies
`);

/** KEYS: a verdict. Returns it with the milliseconds it has left, of the same instant; nothing when there is none. */
export const GET_VERDICT = script(`
local value = redis.call('GET', KEYS[1])
if not value then return false end
return { value, redis.call('PTTL', KEYS[1]) }
`);

/** KEYS: any key of the server asked. Returns its time. */
export const SERVER_TIME = script(`return redis.call('TIME')`);

function script(lua: string): Script {
  return { lua, sha: createHash("sha1").update(lua).digest("hex") };
}
