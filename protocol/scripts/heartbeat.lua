-- ARGV: session, lease ms (and behind a bar what the worker says of its work), ids begun since the last beat. Renews the lease, also one that has lapsed but was not reaped.
-- Answers {'gone'} | {'ok', jobs it owns, ids to stop, one behind another, 1 if it is in quarantine + 2 if it is to
-- drain}.
local sid = ARGV[1]
local run = K .. 'run:' .. sid
if not call('ZSCORE', K .. 'sess', sid) then
    return {'gone'}
end
local lease, said = string.match(ARGV[2], '^(%d+)|?(.*)$')
call('ZADD', K .. 'sess', now_ms() + tonumber(lease), sid)
if said ~= '' then
    call('HSET', K .. 'said', sid, said)
end
for i = 3, #ARGV do
    local row = call('HGET', run, ARGV[i])
    if row then
        local fails, crashes, _, no, prio, again = run_row(row)
        call('HSET', run, ARGV[i], table.concat({fails, crashes, '1', no, prio, again}, '|'))
    end
end
local stop = {}
local marked = call('HLEN', K .. 'halt') > 0
if marked or call('SCARD', K .. 'stopping') > 0 then
    local rows = call('HGETALL', run) -- CLAIM keeps it to 512
    for i = 1, #rows, 2 do
        local _, _, _, no = run_row(rows[i + 1])
        if call('SISMEMBER', K .. 'stopping', no) == 1 or marked and call('HEXISTS', K .. 'halt', rows[i]) == 1 then
            stop[#stop + 1] = rows[i]
        end
    end
end
return {'ok', call('HLEN', run), table.concat(stop), (is_ill(sid) and 1 or 0) + 2 * call('HEXISTS', K .. 'drain', sid)}
