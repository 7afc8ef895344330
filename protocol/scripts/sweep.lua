-- ARGV: how many at most. Removes waiting jobs of one cancelled campaign. Answers how many.
local no = call('SRANDMEMBER', K .. 'stopping')
if not no then
    return 0
end
local n = 0
for prio = 0, 2 do
    local ids = call('LPOP', K .. 'rq:' .. no .. ':' .. prio, ARGV[1])
    if ids then
        call('HDEL', K .. 'job', unpack(ids))
        call('HDEL', K .. 'retry', unpack(ids))
        move(no, 'ready', 'cancelled', #ids)
        n = n + #ids
    end
end
local f = call('HMGET', K .. 'c:' .. no, 'ready', 'running', 'delayed')
if tonumber(f[1] or '0') + tonumber(f[2] or '0') + tonumber(f[3] or '0') == 0 then
    call('SREM', K .. 'stopping', no)
end
return n
