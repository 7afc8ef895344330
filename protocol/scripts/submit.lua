-- ARGV: window, then groups: campaign, tenant ('' where n is 0), manifest ('' = no place), offset, n, and n times id,
-- priority, max retries, deadline, body. A group is one client's message; the broker puts several into one call, so that
-- one fsync covers them.
-- Answers per group a string and the campaign's unfinished jobs: a letter a job, (n)ew, (d)uplicate, (f)inished;
-- or 'B' busy, 'X' no such campaign, 'T' another tenant's, 'C' cancelled, and nothing of the group was taken.
local window = tonumber(ARGV[1])

local function admit(no, at, n)
    local ids = {}
    for i = 1, n do
        ids[i] = ARGV[at + 5 * (i - 1)]
    end
    local have = call('HMGET', K .. 'job', unpack(ids))
    local finished = call('SMISMEMBER', K .. 'fin:' .. no, unpack(ids))
    local status, stored, new, queues, seen = {}, {}, 0, {}, {}
    for i = 1, n do
        local id, p = ids[i], at + 5 * (i - 1)
        if finished[i] == 1 then
            status[i] = 'f'
        elseif have[i] or seen[id] then
            status[i] = 'd'
        else
            status[i], seen[id] = 'n', true
            new = new + 1
            stored[2 * new - 1] = id
            stored[2 * new] = table.concat({ARGV[p + 1], ARGV[p + 2], ARGV[p + 3], no, ARGV[p + 4]}, '|')
            local q = queues[ARGV[p + 1]] or {}
            queues[ARGV[p + 1]] = q
            q[#q + 1] = id
        end
    end
    if new > 0 then
        call('HSET', K .. 'job', unpack(stored))
        for prio, q in pairs(queues) do
            call('RPUSH', K .. 'rq:' .. no .. ':' .. prio, unpack(q))
            ring_add(no, prio)
        end
        count(no, 'total', new)
        count(no, 'ready', new)
    end
    return table.concat(status), new
end

local out, at = {}, 2
while at <= #ARGV do
    local name, tenant, manifest, offset, n = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], tonumber(ARGV[at + 4])
    at = at + 5
    local no = call('HGET', K .. 'camp', name)
    local status, unfinished = 'X', 0
    if no then
        local f = call('HMGET', K .. 'c:' .. no, 'state', 'ready', 'running', 'delayed', 'tenant')
        unfinished = tonumber(f[2] or '0') + tonumber(f[3] or '0') + tonumber(f[4] or '0')
        if n > 0 and f[5] ~= tenant then
            status, unfinished = 'T', 0
        elseif f[1] == 'cancelled' then
            status = 'C'
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
        end
    end
    out[#out + 1] = status
    out[#out + 1] = unfinished
    at = at + 5 * n
end
return out
