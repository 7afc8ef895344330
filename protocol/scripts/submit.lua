-- ARGV: window, percent of maxmemory at which nothing is taken, then groups: campaign, tenant ('' where n is 0), manifest
-- ('' = no place), offset, end (1: the campaign gets no more jobs), n, and n times id, priority, max retries, deadline,
-- earliest start (Unix ms, 0: now), body. A group is one client's message; the broker puts several into one call, so that
-- one fsync covers them.
-- Answers per group a string and the campaign's unfinished jobs: a letter a job, (n)ew, (d)uplicate, (f)inished;
-- or 'B' the window is full, 'M' memory is, 'F' memory is and no work and no record is there to leave it, 'Q' its tenant has as much unfinished as it may, 'X' no such campaign, 'T' another tenant's, 'C' cancelled, and nothing of the
-- group was taken.
local window = tonumber(ARGV[1])
local full = memory_level() >= tonumber(ARGV[2])
local now = now_ms()

local function admit(no, at, n)
    local ids, known = {}, {}
    for i = 1, n do
        ids[i] = ARGV[at + 6 * (i - 1)]
        known[i] = fin_id(ids[i])
    end
    local have = call('HMGET', K .. 'job', unpack(ids))
    local finished = call('SMISMEMBER', K .. 'fin:' .. no, unpack(known))
    local status, stored, new, queues, later, seen = {}, {}, 0, {}, {}, {}
    for i = 1, n do
        local id, p = ids[i], at + 6 * (i - 1)
        if finished[i] == 1 then
            status[i] = 'f'
        elseif have[i] or seen[id] then
            status[i] = 'd'
        else
            status[i], seen[id] = 'n', true
            new = new + 1
            stored[2 * new - 1] = id
            stored[2 * new] = table.concat({ARGV[p + 1], ARGV[p + 2], ARGV[p + 3], no, '', ARGV[p + 5]}, '|')
            if tonumber(ARGV[p + 4]) > now then
                later[#later + 1], later[#later + 2] = ARGV[p + 4], id
            else
                local q = queues[ARGV[p + 1]] or {}
                queues[ARGV[p + 1]] = q
                q[#q + 1] = id
            end
        end
    end
    if new > 0 then
        call('HSET', K .. 'job', unpack(stored))
        for prio, q in pairs(queues) do
            call('RPUSH', K .. 'rq:' .. no .. ':' .. prio, unpack(q))
            ring_add(no, prio)
        end
        if #later > 0 then
            call('ZADD', K .. 'delay', unpack(later))
        end
        count(no, 'total', new)
        count(no, 'ready', new - #later / 2)
        count(no, 'delayed', #later / 2)
        call('HDEL', K .. 'c:' .. no, 'sealed', 'completed')
    end
    return table.concat(status), new
end

local function over_quota(tenant, n)
    local t = call('HMGET', K .. 'tenant:' .. tenant, 'quota', 'unfinished')
    return t[1] and tonumber(t[2] or '0') + n > tonumber(t[1])
end

local out, at = {}, 3
while at <= #ARGV do
    local name, tenant, manifest, offset = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    local last, n = ARGV[at + 4], tonumber(ARGV[at + 5])
    at = at + 6
    local no = call('HGET', K .. 'camp', name)
    local status, unfinished = 'X', 0
    if no then
        local f = call('HMGET', K .. 'c:' .. no, 'state', 'ready', 'running', 'delayed', 'tenant')
        unfinished = tonumber(f[2] or '0') + tonumber(f[3] or '0') + tonumber(f[4] or '0')
        if n > 0 and f[5] ~= tenant then
            status, unfinished = 'T', 0
        elseif f[1] == 'cancelled' then
            status = 'C'
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
                status, new = admit(no, at, n)
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
    out[#out + 1] = status
    out[#out + 1] = unfinished
    at = at + 6 * n
end
return out
