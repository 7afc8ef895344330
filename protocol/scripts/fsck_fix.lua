-- ARGV: 'run', session: ownership of a session that is not there any more goes back to the queues ('is-run' only looks).
-- ARGV: 'count', campaign number, then seen and right ready, running, delayed: sets the counters if they are still as seen.
-- Answers 1 where something was put right.
if ARGV[1] ~= 'count' then
    local run = K .. 'run:' .. ARGV[2]
    if call('ZSCORE', K .. 'sess', ARGV[2]) or call('EXISTS', run) == 0 then
        return 0
    elseif ARGV[1] == 'is-run' then
        return 1
    end
    local rows = call('HGETALL', run) -- CLAIM keeps it to 512
    for i = 1, #rows, 2 do
        local _, _, _, no, prio = run_row(rows[i + 1])
        if call('HEXISTS', K .. 'job', rows[i]) == 1 then
            give_back(rows[i], no, prio, false)
            move(no, 'running', 'ready', 1)
        end
    end
    call('DEL', run)
    return 1
end
local c, fields = K .. 'c:' .. ARGV[2], {'ready', 'running', 'delayed'}
for i = 1, 3 do
    if (call('HGET', c, fields[i]) or '0') ~= ARGV[2 + i] then
        return 0
    end
end
for i = 1, 3 do
    call('HSET', c, fields[i], ARGV[5 + i])
end
return 1
