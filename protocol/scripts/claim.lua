-- ARGV: quantum, jobs a session may hold, bytes an answer may have, percent of maxmemory at which nothing is handed out,
-- budget of records (bytes, or up to 1 a share of maxmemory), then (session, sequence number, jobs wanted)*: credit of
-- several sessions, served one after the other. Behind the jobs wanted stands, where there are several shards, a bar and
-- how many jobs the worker has of all of them.
-- Answers {jobs that still wait, as far as was looked, (state, n, (id, its row of ownership, its stored job)*n)*}. States:
-- 'ok', 'suspects' (jobs that run alone), 'alone' (nothing while suspects run), 'full', 'ill' (in quarantine), 'drain', 'gone', 'lapsed', 'stale'. A number
-- that was answered with jobs is never answered again: a lost answer is repaired by RESUME, which sets a higher one.
local MOST = 512
local quantum, max_held, max_bytes = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local now = now_ms()
local sids, n_sessions = {}, (#ARGV - 5) / 3
for i = 1, n_sessions do
    sids[i] = ARGV[3 + 3 * i]
end
local out, bytes, touched, turns, passed, claimed = {0}, 0, 0, 0, {}, {}

-- Of the session that is served: its name and class, what it holds, what it still wants, and its new rows.
local sid, class, held, owned, want, rows

-- ---- what is looked up once a call

local function field_of(key)
    local all, by = call('HMGET', K .. key, unpack(sids)), {}
    for i = 1, n_sessions do
        by[sids[i]] = all[i]
    end
    return by
end
local seqs, infos, drains, ills, alones = field_of('cseq'), field_of('sinfo'), {}, {}, {}
if call('EXISTS', K .. 'drain', K .. 'ill', K .. 'alone') > 0 then -- rare
    drains, ills, alones = field_of('drain'), field_of('ill'), field_of('alone')
end
local leases = call('ZMSCORE', K .. 'sess', unpack(sids))
local drained = call('HEXISTS', K .. 'meta', 'drain') == 1
local marked = call('EXISTS', K .. 'retry', K .. 'halt') > 0
local retried, halted = marked and call('EXISTS', K .. 'retry') == 1, marked and call('EXISTS', K .. 'halt') == 1

local camps = {}
local function camp(no)
    camps[no] = camps[no] or {state = call('HGET', K .. 'c:' .. no, 'state'), by = {ready = 0, running = 0}}
    return camps[no]
end

local weights = {}
local function weight(tenant)
    weights[tenant] = weights[tenant] or tonumber(call('HGET', K .. 'tenant:' .. tenant, 'weight') or '1')
    return weights[tenant]
end

-- Jobs of a campaign mostly begin alike: deadline, and the row of ownership of one that was not tried yet.
-- A body begins with no digit or bar.
local fronts, last_text, last_len = {}, nil, 0
local function front_of(stored)
    if last_text and string.sub(stored, 1, last_len) == last_text then
        return fronts[last_text]
    end
    local text = string.match(stored, '^[%d|]*')
    if not fronts[text] then
        local prio, _, deadline, no, again = head(text)
        fronts[text] = {deadline = deadline, tail = table.concat({'0', no, prio, again}, '|')}
        fronts[text].row = '0|0|' .. fronts[text].tail
    end
    last_text, last_len = text, #text
    return fronts[text]
end

local dry = {} -- rings that are empty, of classes; nothing comes back into them in this call
local pressed = {}
local function is_full()
    if pressed[class] == nil then
        local ring = K .. 'ready:' .. class .. ':'
        local waits = call('EXISTS', K .. 'sus:' .. class, ring .. '0', ring .. '1', ring .. '2') > 0
        pressed[class] = waits and pressure(ARGV[4], ARGV[5]) ~= nil
    end
    return pressed[class]
end

local suspected = {} -- class -> whether suspects of it wait
local function has_suspects()
    if suspected[class] == nil then
        suspected[class] = call('EXISTS', K .. 'sus:' .. class) == 1
    end
    return suspected[class]
end

local others = {} -- session -> whether another one of its class may take what failed there
local function is_only_one()
    if others[sid] == nil then
        others[sid] = any_other(class, sid, now, function(other) return not is_ill(other) end)
    end
    return not others[sid]
end

-- ---- handing out

-- A job that failed here goes to another session if there is one that may take it: once it is passed over.
local function pass_over(no, prio, id, fails, crashes, returns, last)
    if last ~= session_mark(sid) or is_only_one() then
        return false
    end
    passed[#passed + 1] = {no, prio, id}
    call('HSET', K .. 'retry', id, fails .. '|' .. crashes .. '|' .. returns .. '|')
    return true
end

-- Back into their queues only once nothing more is taken from those.
local function put_passed()
    for _, p in ipairs(passed) do
        call('RPUSH', K .. 'rq:' .. p[1] .. ':' .. p[2], p[3])
        ring_add(p[1], p[2])
    end
end

-- Hands out jobs of one campaign; they have left their queue. Answers how many.
local function take(no, prio, ids)
    local stored = call('HMGET', K .. 'job', unpack(ids))
    local old = retried and call('HMGET', K .. 'retry', unpack(ids)) or {}
    local marks = halted and halt_marks(ids) or {}
    local by, n, kept = camp(no).by, 0, 0
    touched = touched + #ids
    for i = 1, #ids do
        local id, body = ids[i], stored[i]
        local goes, front = body ~= false, body and front_of(body)
        local row = goes and front.row
        if marks[i] then
            drop(no, id, 'ready')
            kept, goes = kept + 1, false
            camp(no).ended = true
        elseif goes and front.deadline > 0 and front.deadline < now then
            call('HSET', K .. 'doom', id, 'expired')
            by.delayed, goes = (by.delayed or 0) + 1, false
        elseif goes and old[i] then
            local fails, crashes, suspect, returns, last = retry_row(old[i])
            row = fails .. '|' .. crashes .. '|' .. front.tail
            if last ~= '' and not suspect and pass_over(no, prio, id, fails, crashes, returns, last) then
                kept, goes = kept + 1, false
            end
        end
        if goes then
            n = n + 1
            local r, o = #rows, #out
            rows[r + 1], rows[r + 2] = id, row
            out[o + 1], out[o + 2], out[o + 3] = id, row, body
            bytes = bytes + #body
        end
    end
    by.ready = by.ready + kept - #ids
    by.running = by.running + n
    return n
end

-- A group of suspects for a session that holds nothing. Suspects of a paused campaign wait in the delay queue; those of a
-- cancelled one end here.
local function take_suspects()
    local group, n = call('LINDEX', K .. 'sus:' .. class, 0), 0
    if touched > 0 and touched + #group / 16 > MOST then
        return 0 -- at the head of a later call
    end
    call('LPOP', K .. 'sus:' .. class)
    suspected[class] = nil
    for at = 1, #group, 16 do
        local id = string.sub(group, at, at + 15)
        local stored = call('HGET', K .. 'job', id)
        if stored then
            local prio, _, _, no = head(stored)
            local state = camp(no).state
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
    if alones[sid] then
        if held > 0 then
            return true
        end
        call('HDEL', K .. 'alone', sid)
    end
    if not has_suspects() then
        return false
    end
    local holder = call('HGET', K .. 'draw', class)
    local alive = holder and call('ZSCORE', K .. 'sess', holder)
    if holder ~= sid and alive and tonumber(alive) >= now then
        return false
    end
    call('HSET', K .. 'draw', class, sid)
    if held > 0 or owned > 0 then
        return true
    end
    call('HDEL', K .. 'draw', class)
    if take_suspects() > 0 then
        call('HSET', K .. 'alone', sid, 1)
    end
    return true
end

-- The campaign whose turn it is: {tenant, campaign, whether nobody else waits}; nil: none. One that is alone stays so in
-- this call, as nothing comes into a ring, until it leaves it.
local lone = {}
local function next_turn(ring)
    if lone[ring] then
        return lone[ring].tenant, lone[ring].no, true
    end
    local tenants = call('ZRANGE', ring, 0, 1)
    if not tenants[1] then
        return nil
    end
    local sub = ring .. ':' .. tenants[1]
    local numbers = call('ZRANGE', sub, 0, 1)
    if not numbers[1] then
        call('ZREM', ring, tenants[1])
    end
    local only = not tenants[2] and not numbers[2]
    lone[ring] = only and numbers[1] and {tenant = tenants[1], no = numbers[1]} or nil
    return tenants[1], numbers[1], only
end

local function take_ring(prio)
    local WHOLE = 64 -- at once where there is nobody to take turns with
    local ring = K .. 'ready:' .. class .. ':' .. prio
    while want > 0 and not dry[ring] and bytes < max_bytes and turns < MOST and touched < MOST do
        turns = turns + 1
        local tenant, no, only = next_turn(ring)
        local ids = no and camp(no).state == 'active' and
            call('LPOP', K .. 'rq:' .. no .. ':' .. prio, math.min(want, only and WHOLE or quantum, MOST - touched))
        if ids then
            want = want - take(no, prio, ids)
        elseif no then
            call('ZREM', ring .. ':' .. tenant, no)
            lone[ring] = nil
        end
        if ids and not only then -- a newcomer begins where the only one stands, wherever that is
            call('ZINCRBY', ring .. ':' .. tenant, #ids, no)
            call('ZINCRBY', ring, #ids / weight(tenant), tenant)
        end
        dry[ring] = tenant == nil
    end
end

-- ---- a session's credit

-- One that gets nothing for now must not keep the suspects waiting for it.
local function nothing(state)
    if call('HGET', K .. 'draw', class) == sid then
        call('HDEL', K .. 'draw', class)
    end
    return state
end

local function serve(i)
    local lease, seq = leases[i], tonumber(ARGV[4 + 3 * i])
    want, owned = string.match(ARGV[5 + 3 * i], '^(%d+)|?(%d*)$')
    sid, want, owned, rows = sids[i], tonumber(want), tonumber(owned) or 0, {}
    if not lease then
        return 'gone'
    elseif tonumber(lease) < now then
        return 'lapsed'
    elseif tonumber(seqs[sid] or '0') >= seq then
        return 'stale'
    end
    class, held = string.match(infos[sid] or '', '^([^|]*)'), call('HLEN', K .. 'run:' .. sid)
    if drained or drains[sid] then
        return nothing('drain')
    elseif ills[sid] and tonumber(ills[sid]) > now then
        return nothing('ill')
    elseif ills[sid] then
        call('HDEL', K .. 'ill', sid)
        local half = math.floor(ill_least() / 2) -- of the way back to quarantine
        call('HSET', K .. 'health', sid, half .. '|' .. half)
        want = 1
    end
    if is_full() then
        return 'full'
    end
    want = math.min(want, max_held - held)
    local is_alone = suspects_first()
    for prio = 0, is_alone and -1 or 2 do
        take_ring(prio)
    end
    if #rows > 0 then
        call('HSET', K .. 'run:' .. sid, unpack(rows))
        claimed[#claimed + 1], claimed[#claimed + 2] = sid, ARGV[4 + 3 * i]
        seqs[sid] = seq
    end
    return is_alone and (#rows == 0 and 'alone' or 'suspects') or 'ok'
end

for i = 1, n_sessions do
    local at = #out
    out[at + 1], out[at + 2] = '', 0
    out[at + 1] = serve(i)
    out[at + 2] = (#out - at - 2) / 3
end
put_passed()
if #claimed > 0 then
    call('HSET', K .. 'cseq', unpack(claimed))
end
for no, c in pairs(camps) do
    local after, minded = count(no, c.by)
    out[1] = out[1] + (c.state == 'active' and after.ready or 0)
    if c.ended and minded then
        look_at_end(no)
    end
end
return out
