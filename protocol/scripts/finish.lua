-- ARGV: session, then (id, outcome, record)*. The acknowledgement of work: ownership, result and counters in one step.
-- Outcomes: (d)one, (f)ailed for good, (t)ransient and (e)nvironment: tried again after a pause while retries are left.
-- A session whose environment failures stand out is put into quarantine: they do not count, and what it has not begun goes
-- back.
-- Answers {a letter a row, jobs it owns}: (s)tored, (r)etry later, (c)ancelled, (0) not this session's any more.
local sid = ARGV[1]
local run = K .. 'run:' .. sid
local n = (#ARGV - 1) / 3
local ids = {}
for i = 1, n do
    ids[i] = ARGV[3 * i - 1]
end
local own = call('HMGET', run, unpack(ids))
local now, seen, answer, mine, gone = now_ms(), {}, {}, {}, {}
local results, order, finished, bytes, tally = {}, {}, {}, {}, {}

local function add(no, field)
    tally[no] = tally[no] or {}
    tally[no][field] = (tally[no][field] or 0) + 1
end

-- 1 s, 2 s, 4 s ... 5 min, and up to a quarter more by the job's id (a hash, and time stands still inside a script), so
-- that what failed together does not come back together.
local function pause(id, fails)
    local ms = math.min(1000 * 2 ^ (fails - 1), 300000)
    return math.floor(ms + ms / 4 * ((string.byte(id, 15) * 256 + string.byte(id, 16) + fails * 7919) % 65536) / 65536)
end

local marks = halt_marks(ids)

local function look_at_health()
    local sick, ended = 0, 0
    for i = 1, n do
        ended = ended + (own[i] and 1 or 0)
        sick = sick + (own[i] and ARGV[3 * i] == 'e' and 1 or 0)
    end
    if sick == 0 and call('HEXISTS', K .. 'health', sid) == 0 then
        return
    end
    local e, all = health(sid)
    e, all = e + sick, all + ended
    if e >= ILL_LEAST and 2 * e >= all and not is_ill(sid) and
        any_other(session_class(sid), sid, now, function(other)
            local its, its_all = health(other)
            return not is_ill(other) and 4 * its <= its_all
        end) then
        call('HSET', K .. 'ill', sid, string.format('%.0f', now + ILL_MS))
    end
    if all > 64 then
        e, all = math.floor(e / 2), math.floor(all / 2)
    end
    call('HSET', K .. 'health', sid, e .. '|' .. all)
end
look_at_health()
local ill = is_ill(sid)

local function store(i, no, field, again)
    results[no] = results[no] or {}
    order[no] = order[no] or {}
    finished[no] = finished[no] or {}
    local r, o, f = results[no], order[no], finished[no]
    r[#r + 1], r[#r + 2] = ids[i] .. again, ARGV[3 * i + 1]
    o[#o + 1] = ids[i] .. again
    f[#f + 1] = fin_id(ids[i])
    bytes[no] = (bytes[no] or 0) + #ARGV[3 * i + 1]
    gone[#gone + 1] = ids[i]
    add(no, field)
    answer[i] = 's'
end

local function cancel(i, no)
    gone[#gone + 1] = ids[i]
    add(no, 'cancelled')
    answer[i] = 'c'
    if marks[i] then
        call('HDEL', K .. 'halt', ids[i])
        call('SADD', K .. 'fin:' .. no, fin_id(ids[i]))
    end
end

local function fail(i, no, fails, crashes, prio, again)
    local stored = call('HGET', K .. 'job', ids[i])
    local _, retries = head(stored)
    local may_retry = ARGV[3 * i] ~= 'f'
    if marks[i] or call('HGET', K .. 'c:' .. no, 'state') == 'cancelled' then
        cancel(i, no)
    elseif ill and ARGV[3 * i] == 'e' then
        give_back(ids[i], no, prio, false)
        add(no, 'ready')
        answer[i] = 'r'
    elseif may_retry and fails + 1 <= retries then
        call('HSET', K .. 'retry', ids[i], (fails + 1) .. '|' .. crashes .. '|0|' .. session_mark(sid))
        call('ZADD', K .. 'delay', now + pause(ids[i], fails + 1), ids[i])
        add(no, 'delayed')
        answer[i] = 'r'
    else
        keep_dead(no, ids[i], stored)
        store(i, no, 'failed', again)
    end
end

for i = 1, n do
    local id, outcome = ids[i], ARGV[3 * i]
    if not own[i] or seen[id] then
        answer[i] = '0'
    else
        seen[id] = true
        local fails, crashes, _, no, prio, again = run_row(own[i])
        mine[#mine + 1] = id
        add(no, 'running')
        if marks[i] == 'f' then
            cancel(i, no)
        elseif outcome == 'd' then
            store(i, no, 'done', again)
            if marks[i] then
                call('HDEL', K .. 'halt', id)
            end
        else
            fail(i, no, fails, crashes, prio, again)
        end
    end
end
if #mine > 0 then
    call('HDEL', run, unpack(mine))
end
if ill then
    local rows = call('HGETALL', run) -- CLAIM keeps it to 512
    for i = 1, #rows, 2 do
        local _, _, begun, no, prio = run_row(rows[i + 1])
        local _, _, suspect = retry_row(call('HGET', K .. 'retry', rows[i]))
        if not begun then
            call('HDEL', run, rows[i])
            give_back(rows[i], no, prio, suspect)
            move(no, 'running', 'ready', 1)
        end
    end
end
for no, r in pairs(results) do
    call('HSET', K .. 'res:' .. no, unpack(r))
    call('SADD', K .. 'fin:' .. no, unpack(finished[no]))
    call('RPUSH', K .. 'out:' .. no, unpack(order[no]))
    hold(no, bytes[no])
end
for no, t in pairs(tally) do
    for field, by in pairs(t) do
        count(no, field, field == 'running' and -by or by)
    end
    look_at_end(no)
end
if #gone > 0 then
    call('HDEL', K .. 'job', unpack(gone))
    call('HDEL', K .. 'retry', unpack(gone))
end
return {table.concat(answer), call('HLEN', run)}
