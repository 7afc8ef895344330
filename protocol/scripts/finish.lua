-- ARGV: session, outcomes (a letter a row), ids one behind another, their records. The acknowledgement of work: ownership,
-- result and counters in one step. Outcomes: (d)one, (f)ailed for good, (t)ransient and (e)nvironment: tried again after a
-- pause while retries are left. A session whose environment failures stand out is put into quarantine: they do not count,
-- and what it has not begun goes back.
-- Answers {a letter a row}: (s)tored, (r)etry later, (c)ancelled, (0) not this session's any more.
local sid, outcomes, ids = ARGV[1], ARGV[2], cut_ids(ARGV[3])
local run = K .. 'run:' .. sid
local n = #ids
local own = call('HMGET', run, unpack(ids))
-- What is rare is looked for in one question, and none of it is there at most times.
local rare = call('EXISTS', K .. 'halt', K .. 'retry', K .. 'health') > 0
local marks = rare and halt_marks(ids) or {}

local function outcome(i)
    return string.sub(outcomes, i, i)
end

-- 1 s, 2 s, 4 s ... 5 min, and up to a quarter more by the job's id (a hash, and time stands still inside a script), so
-- that what failed together does not come back together.
local function pause(id, fails)
    local ms = math.min(1000 * 2 ^ (fails - 1), 300000)
    return math.floor(ms + ms / 4 * ((string.byte(id, 15) * 256 + string.byte(id, 16) + fails * 7919) % 65536) / 65536)
end

-- Answers whether the session is in quarantine. One that never had a failure by its environment has no row.
local function look_at_health()
    local sick, ended, now = 0, 0, now_ms()
    for i = 1, n do
        ended = ended + (own[i] and 1 or 0)
        sick = sick + (own[i] and outcome(i) == 'e' and 1 or 0)
    end
    local e, all = health(sid)
    e, all = e + sick, all + ended
    if e >= ill_least() and 2 * e >= all and not is_ill(sid) and
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
    return is_ill(sid)
end
local watched = rare and call('HEXISTS', K .. 'health', sid) == 1
local ill = (watched or string.find(outcomes, 'e', 1, true)) and look_at_health()

-- What becomes of a campaign's rows, written in a few calls once all of them are known.
local ends = {}
local function ends_of(no)
    ends[no] = ends[no] or {results = {}, order = {}, finished = {}, held = 0, by = {running = 0}}
    return ends[no]
end

local answer, mine, gone, errors = {}, {}, {}, {}

local function add(e, field)
    e.by[field] = (e.by[field] or 0) + 1
end

local function store(i, e, field, again)
    local key, at = ids[i] .. again, #e.order + 1
    e.results[2 * at - 1], e.results[2 * at] = key, ARGV[3 + i]
    e.order[at], e.finished[at] = key, fin_id(ids[i])
    e.held = e.held + #ARGV[3 + i]
    gone[#gone + 1] = ids[i]
    add(e, field)
    answer[i] = 's'
end

local function cancel(i, e, no)
    gone[#gone + 1] = ids[i]
    add(e, 'cancelled')
    answer[i] = 'c'
    if marks[i] then
        call('HDEL', K .. 'halt', ids[i])
        call('SADD', K .. 'fin:' .. no, fin_id(ids[i]))
    end
end

local function fail(i, e, row)
    local stored = call('HGET', K .. 'job', ids[i])
    local _, retries = head(stored)
    local tried = row.fails + 1
    if marks[i] or call('HGET', K .. 'c:' .. row.no, 'state') == 'cancelled' then
        cancel(i, e, row.no)
    elseif ill and outcome(i) == 'e' then
        give_back(ids[i], row.no, row.prio, false)
        add(e, 'ready')
        answer[i] = 'r'
    elseif outcome(i) ~= 'f' and tried <= retries then
        call('HSET', K .. 'retry', ids[i], tried .. '|' .. row.crashes .. '|0|' .. session_mark(sid))
        call('ZADD', K .. 'delay', now_ms() + pause(ids[i], tried), ids[i])
        add(e, 'delayed')
        answer[i] = 'r'
    else
        keep_dead(row.no, ids[i], stored)
        store(i, e, 'failed', row.again)
        errors[#errors + 1] = error_row(row.no, ARGV[3 + i])
    end
end

-- Most rows of a session read the same.
local rows = {}
local function row_of(text)
    if not rows[text] then
        local fails, crashes, _, no, prio, again = run_row(text)
        rows[text] = {fails = fails, crashes = crashes, no = no, prio = prio, again = again}
    end
    return rows[text]
end

-- Mostly all rows are of one campaign and have succeeded, and nobody wants them halted: then what look_at_each does to them
-- is the same for all. False: it is not so, and nothing was done.
local function all_plain()
    if not own[1] or ill or next(marks) or string.find(outcomes, '[^d]') then
        return false
    end
    local no, seen, results, finished, held, last, sub = row_of(own[1]).no, {}, {}, {}, 0, nil, string.sub
    for i = 1, n do
        local id, text, record = ids[i], own[i], ARGV[3 + i]
        local row = text and text ~= last and row_of(text)
        if not text or seen[id] or row and (row.no ~= no or row.again ~= '') then
            return false
        end
        seen[id], last = true, text
        results[2 * i - 1], results[2 * i], finished[i] = id, record, sub(id, 1, 14)
        held = held + #record
    end
    ends[no] = {results = results, order = ids, finished = finished, held = held, by = {running = -n, done = n}}
    mine, gone, answer[1] = ids, ids, string.rep('s', n)
    return true
end

local function look_at_each()
    local seen = {}
    for i = 1, n do
        local id = ids[i]
        if not own[i] or seen[id] then
            answer[i] = '0'
        else
            seen[id] = true
            local row = row_of(own[i])
            local e = ends_of(row.no)
            mine[#mine + 1] = id
            e.by.running = e.by.running - 1
            if marks[i] == 'f' then
                cancel(i, e, row.no)
            elseif outcome(i) == 'd' then
                store(i, e, 'done', row.again)
                if marks[i] then
                    call('HDEL', K .. 'halt', id)
                end
            else
                fail(i, e, row)
            end
        end
    end
end
if not all_plain() then
    look_at_each()
end
if #mine > 0 then
    call('HDEL', run, unpack(mine))
end
if ill then
    local left = call('HGETALL', run) -- CLAIM keeps it to 512
    for i = 1, #left, 2 do
        local _, _, begun, no, prio = run_row(left[i + 1])
        local _, _, suspect = retry_row(call('HGET', K .. 'retry', left[i]))
        if not begun then
            call('HDEL', run, left[i])
            give_back(left[i], no, prio, suspect)
            move(no, 'running', 'ready', 1)
        end
    end
end
for no, e in pairs(ends) do
    if #e.order > 0 then
        call('HSET', K .. 'res:' .. no, unpack(e.results))
        call('SADD', K .. 'fin:' .. no, unpack(e.finished))
        call('RPUSH', K .. 'out:' .. no, unpack(e.order))
        call('HINCRBY', K .. 'use', 'held', e.held)
        e.by.held = e.held
    end
    local _, minded = count(no, e.by)
    if minded then
        look_at_end(no)
    end
end
if #gone > 0 then
    call('HDEL', K .. 'job', unpack(gone))
    if rare then
        call('HDEL', K .. 'retry', unpack(gone))
    end
end
show_errors(errors)
return {table.concat(answer)}
