-- ARGV: id, record. A doomed job ends with its record. Answers 1, or 0 where another broker was faster.
local id = ARGV[1]
if call('HDEL', K .. 'doom', id) == 0 then
    return 0
end
local stored = call('HGET', K .. 'job', id)
local _, _, _, no, again = head(stored)
if halt_marks({id})[1] then
    drop(no, id, 'delayed')
    return 1
end
keep_dead(no, id, stored)
call('HDEL', K .. 'job', id)
call('HDEL', K .. 'retry', id)
call('HSET', K .. 'res:' .. no, id .. again, ARGV[2])
hold(no, #ARGV[2])
call('SADD', K .. 'fin:' .. no, fin_id(id))
call('RPUSH', K .. 'out:' .. no, id .. again)
show_errors({error_row(no, ARGV[2])})
move(no, 'delayed', 'failed', 1)
look_at_end(no)
return 1
