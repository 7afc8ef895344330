-- ARGV: session, sequence number, jobs wanted, quantum, jobs a session may hold, bytes an answer may have, percent of
-- maxmemory at which nothing is handed out, budget of records (bytes, or up to 1 a share of maxmemory).
-- Answers {'ok', (id, fails, crashes, body)*} | {'alone'} (nothing while suspects run) | {'full', what} | {'ill', ms left
-- of its quarantine} | {'drain'} | {'gone'} | {'lapsed'} | {'stale'}. A number that was answered with jobs is never answered again: a lost answer is repaired by
-- RESUME, which sets a higher one.
local sid, seq, want, quantum = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local max_held, max_bytes = tonumber(ARGV[5]), tonumber(ARGV[6])
local run = K .. 'run:' .. sid
local lease = call('ZSCORE', K .. 'sess', sid)
local now = now_ms()
if not lease then
    return {'gone'}
elseif tonumber(lease) < now then
    return {'lapsed'}
elseif tonumber(call('HGET', K .. 'cseq', sid) or '0') >= seq then
    return {'stale'}
end
local class = session_class(sid)
local held = call('HLEN', run)
local out, bytes, others, passed = {'ok'}, 0, nil, {}

-- One that gets nothing for now must not keep the suspects waiting for it.
local function nothing(...)
    if call('HGET', K .. 'draw', class) == sid then
        call('HDEL', K .. 'draw', class)
    end
    return {...}
end

-- A job that failed here goes to another session if there is one that may take it: once it is passed over.
local function pass_over(no, prio, id, fails, crashes, returns, last)
    if last ~= session_mark(sid) then
        return false
    end
    if others == nil then
        others = any_other(class, sid, now, function(other) return not is_ill(other) end)
    end
    if others then
        passed[#passed + 1] = {no, prio, id}
        call('HSET', K .. 'retry', id, fails .. '|' .. crashes .. '|' .. returns .. '|')
    end
    return others
end

-- Back into their queues only once nothing more is taken from those.
local function put_passed()
    for _, p in ipairs(passed) do
        call('RPUSH', K .. 'rq:' .. p[1] .. ':' .. p[2], p[3])
        ring_add(p[1], p[2])
    end
end

-- Hands out jobs of one campaign; they have left their queue.
local function take(no, prio, ids)
    local stored = call('HMGET', K .. 'job', unpack(ids))
    local old = call('HLEN', K .. 'retry') > 0 and call('HMGET', K .. 'retry', unpack(ids))
    local marks = halt_marks(ids)
    local rows, n, late, kept = {}, 0, 0, 0
    for i = 1, #ids do
        local _, _, deadline, _, again, at = head(stored[i] or '')
        local fails, crashes, suspect, returns, last = retry_row(old and old[i])
        if marks[i] then
            drop(no, ids[i], 'ready')
            kept = kept + 1
        elseif deadline and deadline > 0 and deadline < now then
            call('HSET', K .. 'doom', ids[i], 'expired')
            late = late + 1
        elseif deadline and last ~= '' and not suspect and pass_over(no, prio, ids[i], fails, crashes, returns, last) then
            kept = kept + 1
        elseif deadline then
            rows[2 * n + 1] = ids[i]
            rows[2 * n + 2] = table.concat({fails, crashes, '0', no, prio, again}, '|')
            n = n + 1
            local o = #out
            out[o + 1], out[o + 2], out[o + 3], out[o + 4] = ids[i], fails, crashes, string.sub(stored[i], at)
            bytes = bytes + #stored[i]
        end
    end
    if n > 0 then
        call('HSET', run, unpack(rows))
    end
    count(no, 'ready', kept - #ids)
    count(no, 'running', n)
    count(no, 'delayed', late)
    if kept > 0 then
        look_at_end(no)
    end
    return n
end

-- A group of suspects for a session that holds nothing. Suspects of a paused campaign wait in the delay queue; those of a
-- cancelled one end here.
local function take_suspects()
    local group = call('LPOP', K .. 'sus:' .. class)
    local n = 0
    for at = 1, #group, 16 do
        local id = string.sub(group, at, at + 15)
        local stored = call('HGET', K .. 'job', id)
        if stored then
            local prio, _, _, no = head(stored)
            local state = call('HGET', K .. 'c:' .. no, 'state')
            if state == 'active' then
                n = n + take(no, prio, {id})
            elseif state == 'paused' then
                call('ZADD', K .. 'delay', now + 5000, id)
                move(no, 'ready', 'delayed', 1)
            else
                call('HDEL', K .. 'job', id)
                call('HDEL', K .. 'retry', id)
                move(no, 'ready', 'cancelled', 1)
            end
        end
    end
    return n
end

-- One session of a class runs dry to take the suspects, while the others go on.
local function suspects_first()
    if call('HEXISTS', K .. 'alone', sid) == 1 then
        if held > 0 then
            return true
        end
        call('HDEL', K .. 'alone', sid)
    end
    if call('LLEN', K .. 'sus:' .. class) == 0 then
        return false
    end
    local holder = call('HGET', K .. 'draw', class)
    local alive = holder and call('ZSCORE', K .. 'sess', holder)
    if holder ~= sid and alive and tonumber(alive) >= now then
        return false
    end
    call('HSET', K .. 'draw', class, sid)
    if held > 0 then
        return true
    end
    call('HDEL', K .. 'draw', class)
    if take_suspects() > 0 then
        call('HSET', K .. 'alone', sid, 1)
    end
    return true
end

local function is_ready()
    for prio = 0, 2 do
        if call('EXISTS', K .. 'ready:' .. class .. ':' .. prio) == 1 then
            return true
        end
    end
    return call('LLEN', K .. 'sus:' .. class) > 0
end

local function take_ready()
    local turns, touched, MOST = 0, 0, 512
    want = math.min(want, max_held - held)
    for prio = 0, 2 do
        local ring = K .. 'ready:' .. class .. ':' .. prio
        while want > 0 and bytes < max_bytes and turns < MOST and touched < MOST do
            turns = turns + 1
            local tenant = call('ZRANGE', ring, 0, 0)[1]
            if not tenant then
                break
            end
            local sub = ring .. ':' .. tenant
            local no = call('ZRANGE', sub, 0, 0)[1]
            if not no then
                call('ZREM', ring, tenant)
            else
                local ids = call('HGET', K .. 'c:' .. no, 'state') == 'active' and
                    call('LPOP', K .. 'rq:' .. no .. ':' .. prio, math.min(want, quantum))
                if ids then
                    touched = touched + #ids
                    want = want - take(no, prio, ids)
                    call('ZINCRBY', sub, #ids, no)
                    call('ZINCRBY', ring, #ids / tonumber(call('HGET', K .. 'tenant:' .. tenant, 'weight') or '1'), tenant)
                else
                    call('ZREM', sub, no)
                end
            end
        end
    end
end

if call('HEXISTS', K .. 'meta', 'drain') == 1 or call('HEXISTS', K .. 'drain', sid) == 1 then
    return nothing('drain')
end
local ill = call('HGET', K .. 'ill', sid)
if ill and tonumber(ill) > now then
    return nothing('ill', tonumber(ill) - now)
elseif ill then
    call('HDEL', K .. 'ill', sid)
    call('HSET', K .. 'health', sid, '4|4') -- half the way back to quarantine
    want = 1
end
local full = is_ready() and pressure(ARGV[7], ARGV[8])
if full then
    return {'full', full}
end
if not suspects_first() then
    take_ready()
    put_passed()
elseif #out == 1 then
    return {'alone'}
end
if #out > 1 then
    call('HSET', K .. 'cseq', sid, ARGV[2])
end
return out
