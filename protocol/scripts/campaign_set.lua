-- ARGV: name, state. One field that CLAIM reads; ten million jobs are paused by it. Cancelled is final.
-- Answers {'ok', row} | {'missing'} | {'cancelled'}.
local no = call('HGET', K .. 'camp', ARGV[1])
if not no then
    return {'missing'}
end
local c = K .. 'c:' .. no
if call('HGET', c, 'state') == 'cancelled' and ARGV[2] ~= 'cancelled' then
    return {'cancelled'}
end
call('HSET', c, 'state', ARGV[2])
call('HDEL', c, 'stopped')
if ARGV[2] == 'active' then
    local f = call('HMGET', c, 'done', 'failed') -- the rate of failures counts from here
    call('HSET', c, 'base_done', f[1] or 0, 'base_failed', f[2] or 0)
    for prio = 0, 2 do
        if call('LLEN', K .. 'rq:' .. no .. ':' .. prio) > 0 then
            ring_add(no, prio)
        end
    end
elseif ARGV[2] == 'cancelled' then
    call('SADD', K .. 'stopping', no)
end
return {'ok', campaign_row(no, class_workers())}
