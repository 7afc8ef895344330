-- ARGV: id, record. A doomed job ends with its record. Answers 1, or 0 where another broker was faster.
local id = ARGV[1]
if call('HDEL', K .. 'doom', id) == 0 then
    return 0
end
local stored = call('HGET', K .. 'job', id)
local _, _, _, no = head(stored)
keep_dead(no, id, stored)
call('HDEL', K .. 'job', id)
call('HDEL', K .. 'retry', id)
call('HSET', K .. 'res:' .. no, id, ARGV[2])
call('SADD', K .. 'fin:' .. no, id)
call('RPUSH', K .. 'out:' .. no, id)
move(no, 'delayed', 'failed', 1)
return 1
