-- ARGV: name, state, tenants; "purged" is cancelled, and then nothing is left of it, for which ARGV[4] says how its name stands
-- in a record. One field that CLAIM reads; ten million jobs are paused by it. Cancelled is final.
-- Answers {'ok', row} | {'missing'} | {'cancelled'}.
local no = campaign_no(ARGV[1], ARGV[3])
if not no then
    return {'missing'}
end
local c = K .. 'c:' .. no
local state = ARGV[2]
if state == 'purged' then
    call('HSET', c, 'purge', ARGV[4] or '')
    state = 'cancelled'
elseif call('HGET', c, 'state') == 'cancelled' and state ~= 'cancelled' then
    return {'cancelled'}
end
call('HSET', c, 'state', state)
call('HDEL', c, 'stopped')
if state == 'active' then
    local f = call('HMGET', c, 'done', 'failed') -- the rate of failures counts from here
    call('HSET', c, 'base_done', f[1] or 0, 'base_failed', f[2] or 0)
    for prio = 0, 2 do
        if call('LLEN', K .. 'rq:' .. no .. ':' .. prio) > 0 then
            ring_add(no, prio)
        end
    end
elseif state == 'cancelled' then
    call('SADD', K .. 'stopping', no)
end
return {'ok', campaign_row(no, class_workers())}
