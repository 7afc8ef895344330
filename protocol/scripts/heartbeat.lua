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
local begun = #ARGV > 2 and call('HMGET', run, unpack(ARGV, 3)) or {}
local rows, r = {}, 0
for i = 1, #begun do
    if begun[i] then
        local fails, crashes, _, no, prio, again = run_row(begun[i])
        rows[r + 1], rows[r + 2] = ARGV[2 + i], table.concat({fails, crashes, '1', no, prio, again}, '|')
        r = r + 2
    end
end
if r > 0 then
    call('HSET', run, unpack(rows))
end
local stop = {}
if call('EXISTS', K .. 'halt', K .. 'stopping') > 0 then
    local marked = call('EXISTS', K .. 'halt') == 1
    local rows = call('HGETALL', run) -- CLAIM keeps it to 512
    for i = 1, #rows, 2 do
        local _, _, _, no = run_row(rows[i + 1])
        if call('SISMEMBER', K .. 'stopping', no) == 1 or marked and call('HEXISTS', K .. 'halt', rows[i]) == 1 then
            stop[#stop + 1] = rows[i]
        end
    end
end
local flags = 0
if call('EXISTS', K .. 'ill', K .. 'drain') > 0 then
    flags = (is_ill(sid) and 1 or 0) + 2 * call('HEXISTS', K .. 'drain', sid)
end
return {'ok', call('HLEN', run), table.concat(stop), flags}
