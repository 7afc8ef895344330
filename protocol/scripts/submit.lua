-- ARGV: window, percent of maxmemory at which nothing is taken, then groups: campaign, its number ('' = not known), tenant
-- (where n is 0: tenants as is_for has them), manifest ('' = no place), offset, end (1: the campaign gets no more jobs), n,
-- and runs that have n jobs in all: priority, max retries, deadline, earliest start (Unix ms, 0: now), how many, their ids
-- one behind another, and their bodies; where the number is known the bodies come as they are stored, since each copy of one
-- in here costs more than all else. A group is one client's message; the broker puts several into one call, so that one
-- fsync covers them.
-- Answers per group a string, the campaign's unfinished jobs and its number: a letter a job, (n)ew, (d)uplicate,
-- (f)inished; or, and nothing of the group was taken: 'N' its number is another one, 'B' the window is full, 'M' memory is,
-- 'F' memory is and no work and no record is there
-- to leave it, 'Q' its tenant has as much unfinished as it may, 'X' no such campaign, 'T' another tenant's, 'C' cancelled.
local window = tonumber(ARGV[1])
local full = memory_level() >= tonumber(ARGV[2])

-- Puts new jobs where they wait. Answers how many of them wait for their time.
local function enqueue(no, prio, start, ids)
    if tonumber(start) > now_ms() then
        local rows = {}
        for i = 1, #ids do
            rows[2 * i - 1], rows[2 * i] = start, ids[i]
        end
        call('ZADD', K .. 'delay', unpack(rows))
        return #ids
    end
    if call('RPUSH', K .. 'rq:' .. no .. ':' .. prio, unpack(ids)) == #ids then
        ring_add(no, prio) -- where others wait already it is there, or paused
    end
    return 0
end

-- A run of jobs, from ARGV[at] on. Answers their letters, how many are new, and how many of those wait for their time.
local function admit(no, at, as_stored)
    local ids, known = cut_ids(ARGV[at + 5]), {}
    for i = 1, #ids do
        known[i] = fin_id(ids[i])
    end
    local have = call('HMGET', K .. 'job', unpack(ids))
    local finished = call('SMISMEMBER', K .. 'fin:' .. no, unpack(known))
    local front = table.concat({ARGV[at], ARGV[at + 1], ARGV[at + 2], no, '', ''}, '|')
    local letters, stored, fresh, seen, n = {}, {}, {}, {}, 0
    for i = 1, #ids do
        local id = ids[i]
        if finished[i] == 1 then
            letters[i] = 'f'
        elseif have[i] or seen[id] then
            letters[i] = 'd'
        else
            letters[i], seen[id], n = 'n', true, n + 1
            local body = ARGV[at + 5 + i]
            fresh[n], stored[2 * n - 1], stored[2 * n] = id, id, as_stored and body or front .. body
        end
    end
    if n == 0 then
        return table.concat(letters), 0, 0
    end
    call('HSET', K .. 'job', unpack(stored))
    return table.concat(letters), n, enqueue(no, ARGV[at], ARGV[at + 3], fresh)
end

-- n jobs from ARGV[at] on. Answers their letters, how many are new, and where the next group begins.
local function admit_all(no, at, n, as_stored)
    local letters, new, later = {}, 0, 0
    while n > 0 do
        local l, fresh, waiting = admit(no, at, as_stored)
        letters[#letters + 1], new, later = l, new + fresh, later + waiting
        local m = tonumber(ARGV[at + 4])
        n, at = n - m, at + 6 + m
    end
    if new > 0 then
        local _, minded = count(no, {total = new, ready = new - later, delayed = later})
        if minded then
            call('HDEL', K .. 'c:' .. no, 'sealed', 'completed')
        end
    end
    return table.concat(letters), new, at
end

local function behind(at, n)
    while n > 0 do
        local m = tonumber(ARGV[at + 4])
        n, at = n - m, at + 6 + m
    end
    return at
end

local function over_quota(tenant, n)
    local t = call('HMGET', K .. 'tenant:' .. tenant, 'quota', 'unfinished')
    if not t[1] then
        return false
    end
    local share = tonumber(t[1]) / tonumber(call('HGET', K .. 'meta', 'shards') or '1') -- each shard minds its part
    return tonumber(t[2] or '0') + n > math.ceil(share)
end

local out, at = {}, 3
while at <= #ARGV do
    local name, number, tenant, manifest, offset = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
    local last, n = ARGV[at + 5], tonumber(ARGV[at + 6])
    at = at + 7
    local no = call('HGET', K .. 'camp', name)
    local status, unfinished, following = 'X', 0, nil
    if no then
        local f = call('HMGET', K .. 'c:' .. no, 'state', 'ready', 'running', 'delayed', 'tenant')
        unfinished = tonumber(f[2] or '0') + tonumber(f[3] or '0') + tonumber(f[4] or '0')
        if n > 0 and f[5] ~= tenant or n == 0 and not is_for(no, tenant) then
            status, unfinished = 'T', 0
        elseif f[1] == 'cancelled' then
            status = 'C'
        elseif n > 0 and number ~= '' and number ~= no then
            status = 'N'
        elseif n > 0 and full then
            local leaves = call('HLEN', K .. 'job') > 0 or tonumber(call('HGET', K .. 'use', 'held') or '0') > 0
            status = leaves and 'M' or 'F'
        elseif n > 0 and over_quota(tenant, n) then
            status = 'Q'
        elseif n > 0 and unfinished > 0 and unfinished + n > window then
            status = 'B'
        else
            status = ''
            if n > 0 then
                local new
                status, new, following = admit_all(no, at, n, number ~= '')
                unfinished = unfinished + new
            end
            if manifest ~= '' then
                call('HSET', K .. 'c:' .. no, 'manifest', manifest, 'offset', offset)
            end
            if last == '1' then
                call('HSET', K .. 'c:' .. no, 'sealed', 1)
                look_at_end(no)
            end
        end
    end
    local o = #out
    out[o + 1], out[o + 2], out[o + 3] = status, unfinished, no or ''
    at = following or behind(at, n)
end
return out
