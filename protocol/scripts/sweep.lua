-- ARGV: how many at most. Removes waiting and delayed jobs of one cancelled campaign; one that is to be purged goes with
-- all that is kept of it once nothing of it is left to do. Answers how many, and more than 0 while there is more to do.
local no = call('SRANDMEMBER', K .. 'stopping')
if not no then
    return 0
end

-- A step through the index of what was answered: what it has of the campaign's goes. Answers whether the walk is over.
local function forget_twins(in_record)
    local c = K .. 'c:' .. no
    if string.sub(in_record, 1, 1) ~= '"' or call('EXISTS', K .. 'twin') == 0 then
        return true
    end
    local page = call('HSCAN', K .. 'twin', call('HGET', c, 'purged_to') or '0', 'COUNT', 64)
    for i = 1, #page[2], 2 do
        if string.find(page[2][i + 1], in_record, 1, true) then
            call('HDEL', K .. 'twin', page[2][i])
        end
    end
    call('HSET', c, 'purged_to', page[1])
    return page[1] == '0'
end

local n = 0
for prio = 0, 2 do
    local ids = call('LPOP', K .. 'rq:' .. no .. ':' .. prio, ARGV[1])
    if ids then
        call('HDEL', K .. 'job', unpack(ids))
        call('HDEL', K .. 'retry', unpack(ids))
        call('HDEL', K .. 'halt', unpack(ids))
        move(no, 'ready', 'cancelled', #ids)
        n = n + #ids
    end
end
if tonumber(call('HGET', K .. 'c:' .. no, 'delayed') or '0') > 0 then
    local page = call('ZSCAN', K .. 'delay', call('HGET', K .. 'meta', 'swept') or '0', 'COUNT', ARGV[1])
    call('HSET', K .. 'meta', 'swept', page[1])
    for i = 1, #page[2], 2 do
        local id = page[2][i]
        local _, _, _, its = head(call('HGET', K .. 'job', id) or '')
        if its == no then
            call('ZREM', K .. 'delay', id)
            drop(no, id, 'delayed')
            n = n + 1
        end
    end
end
local f = call('HMGET', K .. 'c:' .. no, 'ready', 'running', 'delayed', 'purge', 'name', 'held')
if tonumber(f[1] or '0') + tonumber(f[2] or '0') + tonumber(f[3] or '0') == 0 then
    if f[4] and not forget_twins(f[4]) then
        return n + 1
    end
    call('SREM', K .. 'stopping', no)
    if f[4] then
        call('HINCRBY', K .. 'use', 'held', 0 - tonumber(f[6] or '0'))
        call('HDEL', K .. 'camp', f[5])
        for _, key in ipairs({'c:', 'res:', 'out:', 'fin:', 'dead:', 'again:'}) do
            call('UNLINK', K .. key .. no)
        end
    end
end
return n
