-- Stands in front of every script. KEYS[1] is the shard's tag, "{q:0}"; all keys of the shard begin with it, so a
-- script touches one slot. PROTOCOL.md "Keys" lists them. Times are Redis' own, never a broker's.
local K = KEYS[1] .. ':'
local call = redis.call

local function now_ms()
    local t = call('TIME')
    return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- A stored job is "priority|max retries|deadline|campaign number|" and then the body.
local function head(stored)
    local prio, retries, deadline, no, at = string.match(stored, '^(%d+)|(%d+)|(%d+)|(%d+)|()')
    return prio, tonumber(retries), tonumber(deadline), no, at
end

-- A row of run:SID is "fails|crashes|started|campaign number|priority".
local function run_row(row)
    local fails, crashes, started, no, prio = string.match(row, '^(%d+)|(%d+)|(%d)|(%d+)|(%d+)$')
    return tonumber(fails), tonumber(crashes), started == '1', no, prio
end

-- A row of retry is "fails|crashes|returns": how often it came back from a session that died. Work that had begun there
-- counts as BEGUN at once; work that had not is suspected too when it was there that often, since a job may kill its
-- worker before anybody hears that it began.
local BEGUN = 3
local function retry_row(row)
    if not row then
        return 0, 0, false, 0
    end
    local fails, crashes, returns = string.match(row, '^(%d+)|(%d+)|(%d+)$')
    returns = tonumber(returns)
    return tonumber(fails), tonumber(crashes), returns >= BEGUN, returns
end

local function count(no, field, by)
    if by ~= 0 then
        call('HINCRBY', K .. 'c:' .. no, field, by)
    end
end

local function move(no, from, to, n)
    count(no, from, -n)
    count(no, to, n)
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

-- The body of a job that failed for good, while there is room: its record is kept in any case.
local function keep_dead(no, id, stored)
    if stored and call('HLEN', K .. 'dead:' .. no) < 100000 then
        call('HSET', K .. 'dead:' .. no, id, stored)
    end
end

local function forget_session(sid)
    call('DEL', K .. 'run:' .. sid)
    call('ZREM', K .. 'sess', sid)
    call('HDEL', K .. 'cseq', sid)
    call('HDEL', K .. 'sinfo', sid)
    call('HDEL', K .. 'alone', sid)
end

local function session_class(sid)
    local info = call('HGET', K .. 'sinfo', sid)
    return info and string.match(info, '^([^|]*)')
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

-- What a client is told of a campaign, in the order of PROTOCOL.md's campaign row.
local function campaign_row(no, workers)
    local f = call('HMGET', K .. 'c:' .. no, 'name', 'tenant', 'class', 'state', 'total', 'ready', 'running', 'delayed',
        'done', 'failed', 'cancelled', 'base', 'manifest', 'offset')
    local row = {f[1], f[2], f[3], f[4]}
    for i = 5, 12 do
        row[i] = tonumber(f[i] or '0')
    end
    row[13] = workers[f[3]] or 0
    row[14] = f[13] or ''
    row[15] = f[14] or '0'
    return row
end
