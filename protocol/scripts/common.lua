-- Stands in front of every script. KEYS[1] is the shard's tag, "{q:0}"; all keys of the shard begin with it, so a
-- script touches one slot. PROTOCOL.md "Keys" lists them. Times are Redis' own, never a broker's.
local K = KEYS[1] .. ':'
local call = redis.call

-- Time stands still inside a script.
local clock
local function now_ms()
    if not clock then
        local t = call('TIME')
        clock = t[1] * 1000 + math.floor(t[2] / 1000)
    end
    return clock
end

-- Ids travel one behind another.
local function cut_ids(packed)
    local ids, sub = {}, string.sub
    for i = 1, #packed / 16 do
        ids[i] = sub(packed, 16 * i - 15, 16 * i)
    end
    return ids
end

-- A stored job is "priority|max retries|deadline|campaign number|again|" and then the body. again: '', or how often the
-- job was put back after it had failed for good; its record stands under id .. again.
local function head(stored)
    local prio, retries, deadline, no, again, at = string.match(stored, '^(%d+)|(%d+)|(%d+)|(%d+)|(%d*)|()')
    return prio, tonumber(retries), tonumber(deadline), no, again, at
end

-- A row of run:SID is "fails|crashes|started|campaign number|priority|again".
local function run_row(row)
    local fails, crashes, started, no, prio, again = string.match(row, '^(%d+)|(%d+)|(%d)|(%d+)|(%d+)|(%d*)$')
    return tonumber(fails), tonumber(crashes), started == '1', no, prio, again
end

-- A row of retry is "fails|crashes|returns|mark of the session where it failed last, or nothing". returns: how often it
-- came back from a session that died. Work that had begun there counts as BEGUN at once; work that had not is suspected
-- too when it was there that often, since a job may kill its worker before anybody hears that it began.
local BEGUN = 3
local function retry_row(row)
    if not row then
        return 0, 0, false, 0, ''
    end
    local fails, crashes, returns, last = string.match(row, '^(%d+)|(%d+)|(%d+)|(%x*)$')
    returns = tonumber(returns)
    return tonumber(fails), tonumber(crashes), returns >= BEGUN, returns, last
end

local function session_mark(sid)
    return string.format('%02x%02x%02x%02x', string.byte(sid .. '____', 1, 4))
end

-- What is kept of an ended job until its campaign is closed: 14 bytes, since Redis' allocator then needs 16 for them, not
-- 24; two of a billion ids have them in common with a chance of one in 10^16.
local function fin_id(id)
    return string.sub(id, 1, 14)
end

-- Whose campaigns the asker may touch: nil or '' all, or tenants, each between line ends. Others' are not there for it.
local function is_for(no, tenants)
    return not tenants or tenants == '' or
        string.find(tenants, '\n' .. (call('HGET', K .. 'c:' .. no, 'tenant') or '') .. '\n', 1, true) ~= nil
end

-- The number of a campaign, or nil.
local function campaign_no(name, tenants)
    local no = call('HGET', K .. 'camp', name)
    return no and is_for(no, tenants) and no or nil
end

-- Changes counters of a campaign (field -> by how much), and with them what its tenant has unfinished: one look and one
-- write for all of them. Answers the counters as they are now, and whether anybody minds how it ends (look_at_end).
local UNFINISHED = {total = 1, done = -1, failed = -1, cancelled = -1}
local function count(no, changes)
    local c, fields, unfinished = K .. 'c:' .. no, {'tenant', 'sealed', 'fail_stop'}, 0
    for field in pairs(changes) do
        fields[#fields + 1] = field
    end
    local f, after, rows = call('HMGET', c, unpack(fields)), {}, {}
    for i = 4, #fields do
        local field = fields[i]
        local by, r = changes[field], #rows
        after[field] = tonumber(f[i] or '0') + by
        unfinished = unfinished + (UNFINISHED[field] or 0) * by
        if by ~= 0 then
            rows[r + 1], rows[r + 2] = field, after[field]
        end
    end
    if #rows > 0 then
        call('HSET', c, unpack(rows))
    end
    if unfinished ~= 0 then
        call('HINCRBY', K .. 'tenant:' .. f[1], 'unfinished', unfinished)
    end
    return after, f[2] or f[3]
end

local function move(no, from, to, n)
    count(no, {[from] = -n, [to] = n})
end

-- Percent of maxmemory in use, maxmemory (0: none is set), and bytes of records. Redis takes longer to say how much memory
-- it uses than to hand out a few jobs: that is kept for a moment.
local function memory_level()
    local KEPT_MS = 25
    local now, kept = now_ms(), call('HMGET', K .. 'use', 'level', 'limit', 'at', 'held')
    local held = tonumber(kept[4] or '0')
    if kept[3] and math.abs(now - tonumber(kept[3])) < KEPT_MS then
        return tonumber(kept[1]), tonumber(kept[2]), held
    end
    local info = call('INFO', 'memory')
    local used, limit = tonumber(string.match(info, 'used_memory:(%d+)')), tonumber(string.match(info, '\nmaxmemory:(%d+)'))
    local free = tonumber(string.match(info, 'mem_not_counted_for_evict:(%d+)') or '0')
    local level = limit > 0 and math.floor(100 * (used - free) / limit) or 0
    call('HSET', K .. 'use', 'level', level, 'limit', string.format('%.0f', limit), 'at', string.format('%.0f', now))
    return level, limit, held
end

-- Why no work may be handed out: 'memory' (at stop_at percent), 'results' (records over their budget: bytes, or up to 1
-- a share of maxmemory), or nil.
local function pressure(stop_at, budget)
    local level, limit, held = memory_level()
    budget = tonumber(budget)
    if budget <= 1 then
        budget = limit > 0 and budget * limit or math.huge
    end
    if level >= tonumber(stop_at) then
        return 'memory'
    end
    return held >= budget and 'results' or nil
end

-- Bytes of records, of a campaign and of all.
local function hold(no, bytes)
    if bytes ~= 0 then
        call('HINCRBY', K .. 'c:' .. no, 'held', bytes)
        call('HINCRBY', K .. 'use', 'held', bytes)
    end
end

-- Puts a campaign into the ring of its tenant, and the tenant into the ring of its class. A newcomer starts at the
-- smallest virtual time there, so it neither waits for the others nor catches up on what it never asked for.
local function ring_add(no, prio)
    local c = call('HMGET', K .. 'c:' .. no, 'class', 'tenant', 'state')
    if c[3] ~= 'active' then
        return
    end
    local ring = K .. 'ready:' .. c[1] .. ':' .. prio
    local sub = ring .. ':' .. c[2]
    local first = call('ZRANGE', sub, 0, 0, 'WITHSCORES')
    call('ZADD', sub, 'NX', first[2] or '0', no)
    first = call('ZRANGE', ring, 0, 0, 'WITHSCORES')
    call('ZADD', ring, 'NX', first[2] or '0', c[2])
end

-- Jobs that may have killed their worker wait in sus:CLASS, a list of groups; a group is its ids, one behind another,
-- and runs on a session that has nothing else.
local function suspect_add(class, ids, from, to)
    call('RPUSH', K .. 'sus:' .. class, table.concat(ids, '', from, to))
end

-- A job goes back to the head of its queue as if it had not been handed out. The counters are the caller's.
local function give_back(id, no, prio, suspect)
    if suspect then
        suspect_add(call('HGET', K .. 'c:' .. no, 'class'), {id}, 1, 1)
    else
        call('LPUSH', K .. 'rq:' .. no .. ':' .. prio, id)
        ring_add(no, prio)
    end
end

-- halt: jobs to be given up one by one: 'c' cancelled, 'f' forgotten, which also may not leave a record. What waits ends
-- at its turn, what runs is stopped by the next beat.
local function halt_marks(ids)
    return #ids > 0 and call('HLEN', K .. 'halt') > 0 and call('HMGET', K .. 'halt', unpack(ids)) or {}
end

local function drop(no, id, from)
    call('HDEL', K .. 'job', id)
    call('HDEL', K .. 'retry', id)
    call('HDEL', K .. 'halt', id)
    call('SADD', K .. 'fin:' .. no, fin_id(id))
    move(no, from, 'cancelled', 1)
end

-- The body of a job that failed for good, while there is room: its record is kept in any case. Records leave, these do
-- not: they must end below the level at which nothing is taken in. Those that are not kept are counted: they and dead:N
-- are together as many as have failed.
local function keep_dead(no, id, stored)
    local STOPS_AT = 60
    if stored and memory_level() < STOPS_AT and call('HLEN', K .. 'dead:' .. no) < 100000 then
        call('HSET', K .. 'dead:' .. no, id, stored)
    else
        call('HINCRBY', K .. 'c:' .. no, 'unkept', 1)
    end
end

-- What campaigns tell those who do not look all the time: "ms|what|campaign". The last 1,000 are kept.
local function tell(what, no)
    local MOST = 1000
    local name = call('HGET', K .. 'c:' .. no, 'name')
    call('HINCRBY', K .. 'meta', 'events', 1)
    if call('RPUSH', K .. 'events', string.format('%.0f|%s|%s', now_ms(), what, name)) > MOST then
        call('LPOP', K .. 'events')
    end
end

-- What failed for good last, for people who look: "ms|campaign number|" and the record, unless it is long. The last 100 are
-- kept.
local function show_errors(rows)
    local MOST = 100
    if #rows > 0 then
        local n = call('RPUSH', K .. 'errs', unpack(rows))
        if n > MOST then
            call('LPOP', K .. 'errs', n - MOST)
        end
    end
end

local function error_row(no, record)
    local LONG = 4096
    return string.format('%.0f|%s|', now_ms(), no) .. (#record <= LONG and record or '')
end

-- After jobs of a campaign have ended: is it complete (nothing is left and nothing more will be handed in), and have too
-- many failed? The rate counts from the last resume, over 100 jobs at least.
local function look_at_end(no)
    local LEAST = 100
    local c = K .. 'c:' .. no
    local asked = call('HMGET', c, 'sealed', 'fail_stop')
    if not asked[1] and not asked[2] then
        return
    end
    local f = call('HMGET', c, 'ready', 'running', 'delayed', 'sealed', 'completed', 'state', 'fail_stop', 'done', 'failed',
        'base_done', 'base_failed')
    local n = {}
    for i = 1, 11 do
        n[i] = tonumber(f[i] or '0') or 0
    end
    if n[4] == 1 and not f[5] and n[1] + n[2] + n[3] == 0 then
        call('HSET', c, 'completed', string.format('%.0f', now_ms()))
        tell('completed', no)
    end
    local failed, ended = n[9] - n[11], n[8] - n[10] + n[9] - n[11]
    if f[7] and f[6] == 'active' and ended >= LEAST and failed * 1000 > n[7] * ended then
        call('HSET', c, 'state', 'paused', 'stopped', 'failures')
        tell('stopped', no)
    end
end

-- A job that failed for good waits again. Its record goes; its slot in out:N stays and is passed over, and the next record
-- takes a new one under another name, so that cursors hold. False: the campaign takes no more.
local function requeue(no, id, stored)
    if call('HGET', K .. 'c:' .. no, 'state') == 'cancelled' then
        return false
    end
    local prio, retries, deadline, _, again, at = head(stored)
    hold(no, -call('HSTRLEN', K .. 'res:' .. no, id .. again))
    call('HDEL', K .. 'res:' .. no, id .. again)
    call('HDEL', K .. 'dead:' .. no, id)
    call('SREM', K .. 'fin:' .. no, fin_id(id))
    again = call('HINCRBY', K .. 'again:' .. no, id, 1)
    call('HSET', K .. 'job', id, table.concat({prio, retries, deadline, no, again, string.sub(stored, at)}, '|'))
    call('RPUSH', K .. 'rq:' .. no .. ':' .. prio, id)
    ring_add(no, prio)
    move(no, 'failed', 'ready', 1)
    call('HDEL', K .. 'c:' .. no, 'completed')
    return true
end

local function forget_session(sid)
    call('DEL', K .. 'run:' .. sid)
    call('ZREM', K .. 'sess', sid)
    call('HDEL', K .. 'cseq', sid)
    call('HDEL', K .. 'sinfo', sid)
    call('HDEL', K .. 'alone', sid)
    call('HDEL', K .. 'health', sid)
    call('HDEL', K .. 'ill', sid)
    call('HDEL', K .. 'drain', sid)
    call('HDEL', K .. 'said', sid)
end

local function session_class(sid)
    local info = call('HGET', K .. 'sinfo', sid)
    return info and string.match(info, '^([^|]*)')
end

-- Sessions whose jobs fail by their environment (a root that is not mounted, no DNS, a full disk) while others' do not.
-- A row of health is "environment failures|ends of jobs", halved from 64 ends on; a row of ill is when the quarantine
-- ends.
local ILL_MS, ILL_LEAST = 60000, 8

-- Each shard sees its part of a session's work; below three nothing is told from chance.
local function ill_least()
    return math.max(3, math.ceil(ILL_LEAST / tonumber(call('HGET', K .. 'meta', 'shards') or '1')))
end

local function health(sid)
    local e, n = string.match(call('HGET', K .. 'health', sid) or '0|0', '^(%d+)|(%d+)$')
    return tonumber(e), tonumber(n)
end

-- Whether a live session of the class but this one passes a test; 1,000 are looked at.
local function any_other(class, sid, now, passes)
    local sids = call('ZRANGEBYSCORE', K .. 'sess', now, '+inf', 'LIMIT', 0, 1000)
    for i = 1, #sids do
        if sids[i] ~= sid and session_class(sids[i]) == class and passes(sids[i]) then
            return true
        end
    end
    return false
end

local function is_ill(sid)
    return call('HEXISTS', K .. 'ill', sid) == 1
end

-- class -> live sessions of it. Looks at 1,000 sessions at most.
local function class_workers()
    local now, by = now_ms(), {}
    local sids = call('ZRANGEBYSCORE', K .. 'sess', now, '+inf', 'LIMIT', 0, 1000)
    for i = 1, #sids do
        local class = session_class(sids[i])
        if class then
            by[class] = (by[class] or 0) + 1
        end
    end
    return by
end

-- What a client is told of a campaign, in the order of PROTOCOL.md's campaign row. pressed: what pressure() said.
local function campaign_row(no, workers, pressed)
    local f = call('HMGET', K .. 'c:' .. no, 'name', 'tenant', 'class', 'state', 'total', 'ready', 'running', 'delayed',
        'done', 'failed', 'cancelled', 'base', 'manifest', 'offset', 'labels', 'stopped', 'completed')
    local row = {f[1], f[2], f[3], f[4]}
    for i = 5, 12 do
        row[i] = tonumber(f[i] or '0')
    end
    row[13] = workers[f[3]] or 0
    row[14] = f[13] or ''
    row[15] = f[14] or '0'
    row[16] = f[15] or ''
    row[17] = f[16] or ''
    if row[4] == 'active' and row[6] > 0 then
        row[17] = row[13] == 0 and 'no-worker' or pressed or ''
    end
    row[18] = f[17] and 1 or 0
    return row
end
