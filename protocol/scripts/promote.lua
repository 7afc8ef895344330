-- ARGV: how many at most. Delayed jobs whose time has come become ready. Answers how many.
local now = now_ms()
local ids = call('ZRANGEBYSCORE', K .. 'delay', '-inf', now, 'LIMIT', 0, ARGV[1])
if #ids == 0 then
    return 0
end
call('ZREM', K .. 'delay', unpack(ids))
local stored = call('HMGET', K .. 'job', unpack(ids))
local old = call('HMGET', K .. 'retry', unpack(ids))
local marks = halt_marks(ids)
for i = 1, #ids do
    if stored[i] then
        local prio, _, deadline, no = head(stored[i])
        if marks[i] then
            drop(no, ids[i], 'delayed')
            look_at_end(no)
        elseif call('HGET', K .. 'c:' .. no, 'state') == 'cancelled' then
            call('HDEL', K .. 'job', ids[i])
            call('HDEL', K .. 'retry', ids[i])
            move(no, 'delayed', 'cancelled', 1)
        elseif deadline > 0 and deadline < now then
            call('HSET', K .. 'doom', ids[i], 'expired') -- counted as delayed until it is buried
        else
            local _, _, suspect = retry_row(old[i])
            give_back(ids[i], no, prio, suspect)
            move(no, 'delayed', 'ready', 1)
        end
    end
end
return #ids
